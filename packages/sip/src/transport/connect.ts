// Owns the opening of TCP and TLS connections to a target, with one time limit for all of it. Must not know SIP messages.
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import { faultOf, type Clock } from "@sallyport/kit";
import { sipErrors } from "../errors.ts";
import type { SipTarget, TlsMaterial } from "./flow.ts";
import { hostPort } from "./flow.ts";
import { clientTls } from "./tls.ts";

export interface Dial {
  /** Rejects SALLY_SIP_CONNECT, SALLY_SIP_TLS. */
  readonly opened: Promise<Socket | TLSSocket>;
  abort(error: Error): void;
}

export const dial = (
  target: SipTarget,
  options: {
    readonly clock: Clock;
    readonly connectMs: number;
    readonly from?: string | undefined;
    readonly tls?: Partial<TlsMaterial> | undefined;
  },
): Dial => {
  const place = `${target.protocol} ${hostPort(target.address, target.port)}`;
  const address = {
    host: target.address,
    port: target.port,
    ...(options.from === undefined ? {} : { localAddress: options.from }),
  };
  const socket =
    target.protocol === "tls"
      ? connectTls({ ...clientTls(options.tls, target.serverName ?? target.address), ...address })
      : connectTcp(address);
  let handshaking = false;
  let abort: (error: Error) => void = () => undefined;
  const opened = new Promise<Socket | TLSSocket>((resolve, reject) => {
    const timer = options.clock.after(options.connectMs, () =>
      abort(sipErrors("SALLY_SIP_CONNECT", `${place}: no answer within ${options.connectMs} ms.`)),
    );
    const settle = (): void => {
      timer.cancel();
      socket.off("error", onError);
      socket.off("close", onEnd);
    };
    const onError = (cause: Error): void => {
      settle();
      // A late second error of the same socket must not go unheard into the process.
      socket.on("error", () => undefined);
      socket.destroy();
      reject(sipErrors(handshaking ? "SALLY_SIP_TLS" : "SALLY_SIP_CONNECT", `${place}: ${faultOf(cause)}.`, { cause }));
    };
    const onEnd = (): void => onError(new Error("closed by the peer"));
    abort = (error) => {
      settle();
      socket.on("error", () => undefined);
      socket.destroy();
      reject(error);
    };
    socket.on("error", onError);
    socket.on("close", onEnd);
    socket.once("connect", () => {
      handshaking = target.protocol === "tls";
    });
    socket.once(target.protocol === "tls" ? "secureConnect" : "connect", () => {
      settle();
      resolve(socket);
    });
  });
  return { opened, abort: (error) => abort(error) };
};
