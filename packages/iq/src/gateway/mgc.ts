// Owns which configured controller a message identifier means (`MgcIdToTry`, H.248.1 7.2.8), and where else one that is
// configured may be spoken to (`ServiceChangeAddress`). Pure. A controller that is not configured is nobody: its certificate
// could not be judged.
import { isIP } from "node:net";
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

/** The same controller at the port, or the message identifier, that it answered with; undefined where that is no place. */
export const elsewhere = (controller: IqControllerAddress, said: string): IqControllerAddress | undefined => {
  if (/^\d{1,5}$/.test(said)) return { ...controller, port: Number(said) };
  const place = parts(said);
  if (place === undefined) return undefined;
  const { address, certificateName, port, protectedBelow = false } = controller;
  const name = certificateName ?? (isIP(address) === 0 ? address : undefined);
  return {
    ...controller,
    address: place.host,
    port: place.port ?? port,
    ...(name === undefined ? {} : { certificateName: name }),
    // What the operator vouched for is the way to the address that is configured.
    protectedBelow: protectedBelow && place.host === address.toLowerCase(),
  };
};
