// One error base for everything that is thrown, and one catalogue per package, from which docs/errors.md is generated.

/** What an operator reads about one error code. */
export interface ErrorEntry {
  /** What happened, one sentence. */
  readonly summary: string;
  /** What to do about it, one sentence. */
  readonly action: string;
  /** The SIP status this error becomes where it ends a SIP request. */
  readonly sipStatus?: number;
  /** The H.248 error code this error becomes where it ends a command on Iq. */
  readonly h248Error?: number;
}

export type ErrorCatalogue = Readonly<Record<string, ErrorEntry>>;

export interface ErrorOptionsAt {
  /** The error underneath, kept. */
  readonly cause?: unknown;
  /** The place in the input: `file:line:column`, a header name, a termination id. Never a key. */
  readonly where?: string;
}

/** The base of every error that Sallyport throws. The message says what, where and what to do. */
export class SallyportError extends Error {
  readonly code: string;
  readonly summary: string;
  readonly detail: string;
  readonly where: string | undefined;
  readonly action: string;
  readonly sipStatus: number | undefined;
  readonly h248Error: number | undefined;

  constructor(code: string, entry: ErrorEntry, detail = "", options: ErrorOptionsAt = {}) {
    const place = options.where === undefined ? "" : `${options.where}: `;
    const what = detail === "" ? entry.summary : `${entry.summary} ${detail}`;
    super(
      `${place}${what} ${entry.action} (${code})`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = "SallyportError";
    this.code = code;
    this.summary = entry.summary;
    this.detail = detail;
    this.where = options.where;
    this.action = entry.action;
    this.sipStatus = entry.sipStatus;
    this.h248Error = entry.h248Error;
  }
}

export type ErrorFactory<C extends ErrorCatalogue> = ((
  code: keyof C & string,
  detail?: string,
  options?: ErrorOptionsAt,
) => SallyportError) & { readonly catalogue: C };

/** Makes the error factory of a package. Codes are `SALLY_<ROOM>_<WHAT>` and unique over all packages. */
export const defineErrors = <const C extends ErrorCatalogue>(catalogue: C): ErrorFactory<C> =>
  Object.assign(
    (code: keyof C & string, detail?: string, options?: ErrorOptionsAt) => {
      const entry = catalogue[code];
      if (entry === undefined) throw new TypeError(`no such error code: ${code}`);
      return new SallyportError(code, entry, detail, options);
    },
    { catalogue },
  );

export const kitErrors = defineErrors({
  SALLY_SECRET_RELEASED: {
    summary: "A key was used after it had been released and zeroised.",
    action: "This is a defect: please report it with the log around it.",
    sipStatus: 500,
    h248Error: 500,
  },
});
