// Owns which configured controller a message identifier means (`MgcIdToTry`, H.248.1 7.2.8). Pure.
// A controller that is not configured is nobody: its certificate could not be judged.
import type { IqControllerAddress } from "./types.ts";

/** `<name>:port`, `[address]:port`, each with or without its port. */
const parts = (mid: string): { readonly host: string; readonly port?: number } | undefined => {
  const match = /^[<[]([^>\]]{1,128})[>\]](?::(\d{1,5}))?$/.exec(mid);
  if (match?.[1] === undefined) return undefined;
  return { host: match[1].toLowerCase(), ...(match[2] === undefined ? {} : { port: Number(match[2]) }) };
};

/** Its index, or undefined. */
export const findController = (controllers: readonly IqControllerAddress[], mid: string): number | undefined => {
  const wanted = parts(mid);
  if (wanted === undefined) return undefined;
  const index = controllers.findIndex(
    ({ address, certificateName, port }) =>
      [address, certificateName].some((name) => name?.toLowerCase() === wanted.host) &&
      (wanted.port === undefined || wanted.port === port),
  );
  return index < 0 ? undefined : index;
};
