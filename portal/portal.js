// Shows what depends on the deployment: settings.json is written next to this file with it.
const answer = await fetch("settings.json").catch(() => null);
if (answer?.ok) {
  const settings = await answer.json();
  document.querySelector('a[href="/api/metadata"]').href = `${settings.apiUrl}/metadata`;
  const item = document.querySelector("#sign-in");
  item.querySelector("a").href = settings.signInUrl;
  item.hidden = false;
}
