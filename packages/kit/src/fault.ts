// What the system, the resolver or TLS says went wrong, in words, with its code for a search. Owns wording only.

const words: Readonly<Record<string, string>> = {
  EACCES: "this user may not",
  EPERM: "this user may not",
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is no folder",
  ENOSPC: "the disk is full",
  EROFS: "the file system is read-only",
  EMFILE: "too many files are open in this process",
  EADDRINUSE: "another program holds the port",
  EADDRNOTAVAIL: "this machine has no such address",
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the other side closed the connection",
  EPIPE: "the other side closed the connection",
  ETIMEDOUT: "no answer in time",
  EHOSTUNREACH: "there is no way to that host",
  ENETUNREACH: "there is no way to that network",
  ENOTFOUND: "that name is not known",
  EAI_AGAIN: "that name could not be looked up",
  EPROTO: "TLS is not spoken there",
  ERR_SSL_WRONG_VERSION_NUMBER: "TLS is not spoken there, or not in a version of ours",
  CERT_HAS_EXPIRED: "the certificate has expired",
  CERT_NOT_YET_VALID: "the certificate is not valid yet: compare the clocks",
  CERT_SIGNATURE_FAILURE: "the certificate is not of a CA that is trusted here",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the certificate is not of a CA that is trusted here",
  SELF_SIGNED_CERT_IN_CHAIN: "the certificate is not of a CA that is trusted here",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the certificate is not of a CA that is trusted here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the certificate is not of a CA that is trusted here",
};

const text = (of: object, field: string): string | undefined => {
  const value: unknown = Reflect.get(of, field);
  return typeof value === "string" && value !== "" ? value : undefined;
};

/** `nothing listens there (ECONNREFUSED)`; a code without words here as it is; else the message. Without a full stop. */
export const faultOf = (cause: unknown): string => {
  if (typeof cause === "string") return words[cause] === undefined ? cause : `${words[cause]} (${cause})`;
  if (typeof cause !== "object" || cause === null) return String(cause);
  const code = text(cause, "code");
  const known = code === undefined ? undefined : words[code];
  if (known !== undefined) return `${known} (${code})`;
  // OpenSSL: `reason` is its sentence; the message holds a thread, a file and a line as well.
  return text(cause, "reason") ?? code ?? text(cause, "message")?.trim().replace(/\.$/, "") ?? "unknown";
};
