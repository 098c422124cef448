/** Who is signed in: authorization code with PKCE at the hosted pages (RFC 7636). */
import { ErrorTimeout, type User, UserManager } from "oidc-client-ts";
import type { Settings } from "./settings";

const SPARE_SECONDS = 60;

/** Nobody is signed in, or no longer. */
export class NotSignedIn extends Error {
  override name = "NotSignedIn";
}

export class Session {
  readonly #manager: UserManager;
  readonly #settings: Settings;
  readonly #here = `${location.origin}/`;

  constructor(settings: Settings) {
    this.#settings = settings;
    const pages = settings.signInUrl;
    this.#manager = new UserManager({
      authority: settings.issuer,
      client_id: settings.clientId,
      redirect_uri: this.#here,
      scope: "openid email profile",
      // Given, so that the page needs no discovery: Cognito's is at another host than its pages.
      metadata: {
        issuer: settings.issuer,
        authorization_endpoint: `${pages}/oauth2/authorize`,
        token_endpoint: `${pages}/oauth2/token`,
        revocation_endpoint: `${pages}/oauth2/revoke`,
      },
      revokeTokenTypes: ["refresh_token"],
      automaticSilentRenew: false,
    });
  }

  /** The user's name, also just after coming back from the hosted pages; null for nobody. */
  async user(): Promise<string | null> {
    const query = new URLSearchParams(location.search);
    if (query.has("state") && (query.has("code") || query.has("error"))) {
      try {
        const user = await this.#manager.signinRedirectCallback();
        history.replaceState(null, "", `/${user.state ?? ""}`);
        return name(user);
      } catch (error) {
        history.replaceState(null, "", "/");
        throw error;
      }
    }
    const user = await this.#manager.getUser();
    return user && (user.refresh_token || !user.expired) ? name(user) : null;
  }

  async signIn(): Promise<void> {
    await this.#manager.signinRedirect({ state: location.hash });
  }

  /** Ends the tokens here and at the platform, and the sign-in pages' own session. */
  async signOut(): Promise<void> {
    await this.#manager.revokeTokens().catch(() => undefined); // they end by themselves
    await this.#manager.removeUser();
    const query = new URLSearchParams({
      client_id: this.#settings.clientId,
      logout_uri: this.#here,
    });
    location.assign(`${this.#settings.signInUrl}/logout?${query}`);
  }

  /** An ID token that is valid for a while, and not the one that was refused. */
  async token(refused?: string): Promise<string> {
    const user = await this.#manager.getUser();
    const kept = user?.id_token;
    if (kept && kept !== refused && (user.expires_in ?? 0) > SPARE_SECONDS) return kept;
    // One renewal for all that wait, also those of other calls.
    this.#renewal ??= this.#renewed().finally(() => (this.#renewal = undefined));
    return this.#renewal;
  }

  #renewal: Promise<string> | undefined;

  async #renewed(): Promise<string> {
    const user = await this.#manager.signinSilent().catch((error: Error) => {
      if (error instanceof TypeError || error instanceof ErrorTimeout) throw error; // no line
      throw new NotSignedIn("Your sign-in has ended.");
    });
    if (!user?.id_token) throw new NotSignedIn("Your sign-in has ended.");
    return user.id_token;
  }
}

function name(user: User): string {
  return String(user.profile["cognito:username"] ?? user.profile.sub);
}
