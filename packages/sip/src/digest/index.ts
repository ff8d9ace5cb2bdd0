// The door of the digest folder.
export { digestHa1, digestResponse, findDigestAlgorithm } from "./algorithm.ts";
export type { DigestAlgorithm, DigestInput } from "./algorithm.ts";
export type { DigestParseCode } from "./auth-params.ts";
export { chooseChallenge, createChallenge, parseChallenge } from "./challenge.ts";
export type { ChallengeParts, DigestChallenge } from "./challenge.ts";
export { answerChallenge, parseCredentials, verifyCredentials } from "./credentials.ts";
export type { ChallengeAnswer, CredentialsCheck, DigestCredentials } from "./credentials.ts";
export { createNonceKeeper } from "./nonce-keeper.ts";
export type { NonceKeeper, NonceKeeperOptions, NonceVerdict } from "./nonce-keeper.ts";
