// Requests to the server, with the token, and their errors.

export const TOKEN = "headstart-token"; // its key in the tab's session storage
const TRIES = 4; // of a request, while the server is busy

function headers() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** An answer other than success; `code` and `hint` are the server's. */
export class Refused extends Error {
  constructor(status, { code, message, hint }) {
    super(message);
    Object.assign(this, { status, code, hint });
  }
}

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

/** The response to a request; tried again while the server is busy. */
export async function ask(path, options = {}) {
  for (let tried = 1; ; tried++) {
    let response;
    try {
      response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      const message = "the server did not answer";
      throw new Refused(0, { code: "no-answer", message, hint: "check that headstart serve is still running" });
    }
    if (response.ok) return response;
    if (response.status === 503 && tried < TRIES) {
      await pause(Number(response.headers.get("Retry-After") ?? 1));
      continue;
    }
    const body = await response.json().catch(() => ({ code: "http", message: `status ${response.status}`, hint: "" }));
    throw new Refused(response.status, body);
  }
}

/** The address of a picture from the server, for an `img`. */
export async function image(path) {
  return URL.createObjectURL(await (await ask(path)).blob());
}
