// Owns how Iq is protected where nothing below protects it: TLS 1.3, both certificates, AEAD suites, no resumption
// (TS 33.328 6.2.1.3 asks for confidentiality of the keys; RFC 8446, no 0-RTT because there are no tickets).
import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import type { H248TlsMaterial } from "./peer.ts";

/** The same for both roles. */
export const tlsOptions = (
  material: H248TlsMaterial,
): SecureContextOptions & { readonly rejectUnauthorized: true } => ({
  key: material.key,
  cert: material.cert,
  ca: material.ca,
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  ciphers: "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  rejectUnauthorized: true,
});
