import { render } from "preact";
import { Api } from "./api";
import { Session } from "./session";
import { settings } from "./settings";
import { Uploads } from "./uploads";
import { App } from "./views/app";
import { Problem } from "./views/parts";
import { Welcome } from "./views/welcome";

const place = document.querySelector("#portal")!;
try {
  const known = await settings();
  const session = new Session(known);
  const user = await session.user();
  if (user) {
    const api = new Api(known, session);
    const uploads = new Uploads(api, user);
    window.addEventListener("beforeunload", (event) => {
      if (uploads.running.length) event.preventDefault();
    });
    render(<App api={api} session={session} uploads={uploads} user={user} />, place);
  } else {
    render(<Welcome settings={known} session={session} />, place);
  }
} catch (error) {
  render(
    <main>
      <Problem error={error} />
      <a href="/">Start again</a>
    </main>,
    place,
  );
}
