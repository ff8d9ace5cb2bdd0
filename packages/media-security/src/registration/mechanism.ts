// Owns the media mechanisms inside Security-Client, -Server and -Verify. Knows no SIP message and no signalling agreement.
// TS 24.229 7.2A.7 and draft-dawes-sipcore-mediasec-parameter: entries with the flag `mediasec`; RFC 3329 2.2 grammar.

/** One sec-mechanism of RFC 3329; the shape of the sip package's `SecurityMechanism`. */
export interface MediaMechanism {
  readonly name: string;
  readonly params: readonly (readonly [name: string, value: string | undefined])[];
}

/** The mechanism of e2ae for RTP (TS 24.229 table 7.2A.7.2-2). */
export const sdesSrtp = "sdes-srtp";

export const isMediaMechanism = (mechanism: MediaMechanism): boolean =>
  mechanism.params.some(([name]) => name.toLowerCase() === "mediasec");

export const names = (mechanism: MediaMechanism, name: string): boolean =>
  isMediaMechanism(mechanism) && mechanism.name.toLowerCase() === name.toLowerCase();

/** Splits at `separator` outside double quotes. */
const split = (text: string, separator: string): readonly string[] => {
  const parts: string[] = [];
  let quoted = false;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (quoted && character === "\\") at += 1;
    else if (character === '"') quoted = !quoted;
    else if (character === separator && !quoted) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(text.slice(start));
  return parts.map((part) => part.trim()).filter((part) => part !== "");
};

/** Entries looked at in all headers of one name together. */
const maxEntries = 64;

/** Reads header field values, each one entry or a comma list. */
export const readMechanisms = (values: readonly string[]): readonly MediaMechanism[] =>
  values
    .flatMap((value) => split(value, ","))
    .slice(0, maxEntries)
    .map((entry) => {
      const [name = "", ...params] = split(entry, ";");
      return {
        name,
        params: params.map((param) => {
          const [key = "", ...value] = param.split("=");
          return [key.trim(), value.length === 0 ? undefined : value.join("=").trim()] as const;
        }),
      };
    });

/**
 * One text for all ways to write the same mechanism: case, blanks, order of parameters and `q` do not count. Asterisk
 * drops `q` when it repeats what we sent.
 */
export const canonical = (mechanism: MediaMechanism): string => {
  const params = mechanism.params
    .map(([name, value]) => [name.toLowerCase(), value?.toLowerCase()] as const)
    .filter(([name]) => name !== "q")
    .map(([name, value]) => (value === undefined ? name : `${name}=${value}`));
  return [mechanism.name.toLowerCase(), ...params.sort()].join(";");
};
