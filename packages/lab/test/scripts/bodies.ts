// The session descriptions of scripted calls, and the keys in them: each key says by itself who wrote it.
const key = (octet: number): string => Buffer.alloc(30, octet).toString("base64");

/** What UEs, the far end and forgers write; none of them is ever the gateway's. */
export const keys = { ue: key(0x11), ueNext: key(0x1b), farEnd: key(0xee), forged: key(0xff) } as const;

export type BodyKind =
  | "none"
  | "secured"
  | "rekeyed"
  | "two-lines"
  | "held"
  | "resumed"
  | "plain"
  | "end-to-end"
  | "forged"
  | "no-port"
  | "garbage";

const crypto = (value: string, tag = 1): string => `a=crypto:${tag} AES_CM_128_HMAC_SHA1_80 inline:${value}`;
const audio = (port: number, profile: string, lines: readonly string[]): readonly string[] => [
  `m=audio ${port} ${profile} 8`,
  "a=rtpmap:8 PCMA/8000",
  ...lines,
];

/** `side`: whose description it is. A UE asks for e2ae where it offers; `answering` says that it does not. */
export const bodyOf = (
  kind: BodyKind,
  side: "ue" | "core",
  version: number,
  answering: boolean,
): string | undefined => {
  const address = side === "ue" ? "198.51.100.77" : "203.0.113.77";
  const port = 20_000 + (version % 100) * 2;
  const wish = answering ? [] : ["a=3ge2ae:requested"];
  const protection = (value: string): readonly string[] => [crypto(value), ...wish];
  const lines = (): readonly string[] => {
    switch (kind) {
      case "secured":
      case "resumed":
        return side === "ue" ? audio(port, "RTP/SAVP", protection(keys.ue)) : audio(port, "RTP/AVP", []);
      case "rekeyed":
        return side === "ue" ? audio(port, "RTP/SAVP", protection(keys.ueNext)) : audio(port, "RTP/AVP", []);
      case "held":
        return side === "ue"
          ? audio(port, "RTP/SAVP", [...protection(keys.ue), "a=sendonly"])
          : audio(port, "RTP/AVP", ["a=sendonly"]);
      case "two-lines": {
        const profile = side === "ue" ? "RTP/SAVP" : "RTP/AVP";
        const own = side === "ue" ? protection(keys.ue) : [];
        const second = side === "ue" ? [crypto(keys.ueNext), ...wish] : [];
        return [...audio(port, profile, own), ...audio(port + 40, profile, second)];
      }
      case "end-to-end":
        return audio(port, "RTP/SAVP", [crypto(side === "ue" ? keys.ue : keys.farEnd)]);
      case "forged":
        return side === "ue"
          ? audio(port, "RTP/SAVP", [crypto(keys.ue), "a=3ge2ae:applied", "a=3ge2ae:requested"])
          : audio(port, "RTP/AVP", ["a=3ge2ae:applied", crypto(keys.forged)]);
      case "no-port":
        return audio(0, side === "ue" ? "RTP/SAVP" : "RTP/AVP", []);
      default:
        return audio(port, "RTP/AVP", []);
    }
  };
  if (kind === "none") return undefined;
  if (kind === "garbage") return "v=1\r\nthis is no session";
  return ["v=0", `o=- 7 ${version} IN IP4 ${address}`, "s=-", `c=IN IP4 ${address}`, "t=0 0", ...lines(), ""].join(
    "\r\n",
  );
};
