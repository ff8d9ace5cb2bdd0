// Sockets of the load generator: one shape for UDP, TCP and TLS, whole messages in and out, text as Latin-1.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";

const names = { udp: "UDP", tcp: "TCP", tls: "TLS" };
const address = "127.0.0.1";

/** Cuts a stream by Content-Length. */
const cutter = (onMessage) => {
  let rest = "";
  return (chunk) => {
    rest += chunk.toString("latin1");
    for (;;) {
      const head = rest.indexOf("\r\n\r\n");
      if (head < 0) return;
      const length = Number(/\r\nContent-Length: (\d+)/i.exec(rest.slice(0, head + 2))?.[1] ?? 0);
      const end = head + 4 + length;
      if (rest.length < end) return;
      const text = rest.slice(0, end);
      rest = rest.slice(end);
      onMessage(text);
    }
  };
};

/** `onMessage(text, reply)`; `me` is what the messages say of this end. */
const overStream = (socket, protocol, onMessage) => {
  socket.setNoDelay(true);
  socket.on("error", () => undefined);
  const send = (text) => socket.write(text, "latin1");
  const me = { address, port: socket.localPort, protocol, via: names[protocol] };
  socket.on(
    "data",
    cutter((text) => onMessage(text, send, me)),
  );
  return { me, send, close: () => socket.destroy() };
};

const datagram = async (onMessage, to) => {
  const socket = createSocket({ type: "udp4", recvBufferSize: 8_388_608, sendBufferSize: 8_388_608 });
  socket.bind(0, address);
  await once(socket, "listening");
  const me = { address, port: socket.address().port, protocol: "udp", via: "UDP" };
  const sendTo = (text, port) => socket.send(Buffer.from(text, "latin1"), port, address);
  socket.on("message", (octets, from) => onMessage(octets.toString("latin1"), (text) => sendTo(text, from.port), me));
  return { me, send: (text) => sendTo(text, to), close: () => socket.close() };
};

/** A phone's end: connected to `port`. */
export const dial = async (protocol, port, onMessage, ca) => {
  if (protocol === "udp") return datagram(onMessage, port);
  const socket = protocol === "tls" ? connectTls({ host: address, port, ca }) : connect({ host: address, port });
  await once(socket, protocol === "tls" ? "secureConnect" : "connect");
  return overStream(socket, protocol, onMessage);
};

/** A far end: listens. */
export const listen = async (protocol, onMessage, tls) => {
  if (protocol === "udp") return datagram(onMessage, 0);
  const me = { address, port: 0, protocol, via: names[protocol] };
  const onSocket = (socket) => overStream(socket, protocol, (text, reply) => onMessage(text, reply, me));
  const server = protocol === "tls" ? createTlsServer(tls, onSocket) : createServer(onSocket);
  server.listen(0, address);
  await once(server, "listening");
  me.port = server.address().port;
  return { me, close: () => server.close() };
};
