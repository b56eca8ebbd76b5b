/**
 * The tokens that a login gives out: JSON Web Tokens (RFC 7519) signed with HS256, which name the
 * user and nothing else. What the user may do is read from the store with every request.
 */
import { jwtVerify, SignJWT } from 'jose';

const ALGORITHM = 'HS256';
const LIFETIME_SECONDS = 12 * 60 * 60;

export class Tokens {
  readonly #key: Uint8Array;
  readonly #clock: () => number;

  /** @param secret taken as it is, in UTF-8; RFC 7518 section 3.2 asks for 32 bytes */
  constructor(options: { secret: string; clock: () => number }) {
    this.#key = new TextEncoder().encode(options.secret);
    this.#clock = options.clock;
  }

  async issue(userId: string): Promise<string> {
    const now = Math.floor(this.#clock() / 1000);
    return await new SignJWT()
      .setProtectedHeader({ alg: ALGORITHM })
      .setSubject(userId)
      .setIssuedAt(now)
      .setExpirationTime(now + LIFETIME_SECONDS)
      .sign(this.#key);
  }

  /** The user id, or null for whatever this server did not sign or has expired. */
  async verify(token: string): Promise<string | null> {
    try {
      const { payload } = await jwtVerify(token, this.#key, {
        algorithms: [ALGORITHM],
        requiredClaims: ['sub', 'iat', 'exp'],
        maxTokenAge: LIFETIME_SECONDS,
        currentDate: new Date(this.#clock()),
      });
      // jose checks that the claim is there, not that it is text.
      return typeof payload.sub === 'string' ? payload.sub : null;
    } catch {
      // Every reason means the same to the caller, and none may reach a log with the token in it.
      return null;
    }
  }
}
