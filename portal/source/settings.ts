/** What the page can't know before the stack exists; `__main__.py` writes it as settings.json. */
export interface Settings {
  apiUrl: string;
  /** Meters the page's requests; it is no secret. */
  apiKey: string;
  /** `iss` of the ID tokens. */
  issuer: string;
  /** Base address of the sign-in pages. */
  signInUrl: string;
  clientId: string;
}

export async function settings(): Promise<Settings> {
  const answer = await fetch("settings.json");
  if (!answer.ok) throw new Error(`settings.json: ${answer.status}`);
  return answer.json();
}
