// The far end of a link: UDP sockets in the network namespace this process was started in, opened, used and closed by lines of JSON on
// standard input; what they hear goes out the same way.
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { createInterface } from "node:readline";

const sockets = new Map();
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const asked = {
  open: ({ id, address }) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    const heard = { count: 0 };
    sockets.set(id, { socket, heard });
    socket.on("message", (octets, { address: from, port }) => {
      heard.count += 1;
      if (heard.quiet !== true) say({ id, octets: octets.toString("base64"), from, port });
    });
    socket.on("error", (error) => say({ id, error: String(error) }));
    socket.bind(0, address, () => say({ id, port: socket.address().port }));
  },
  send: ({ id, octets, port, to }) => sockets.get(id).socket.send(Buffer.from(octets, "base64"), port, to),
  // A flow of `count` datagrams, `each` of them a millisecond; then says how many were heard since it was opened.
  flow: ({ id, octets, port, to, count, each, echo }) => {
    const { socket, heard } = sockets.get(id);
    heard.quiet = true;
    const packet = Buffer.from(octets, "base64");
    let sent = 0;
    const timer = setInterval(() => {
      for (let at = 0; at < each && sent < count; at++, sent++) {
        packet.writeUInt16BE(sent % 65536, 2);
        socket.send(Buffer.from(packet), port, to);
      }
      if (sent < count) return;
      clearInterval(timer);
      setTimeout(() => say({ id, flowed: sent, heard: sockets.get(echo).heard.count }), 300);
    }, 1);
  },
  // What a TCP server says.
  dial: ({ id, to, port }) => {
    const socket = connect(port, to);
    let text = "";
    socket.on("data", (octets) => (text += octets));
    socket.on("error", (error) => say({ id, error: String(error) }));
    socket.on("end", () => say({ id, text }));
  },
  quiet: ({ id }) => {
    sockets.get(id).heard.quiet = true;
  },
  close: ({ id }) => {
    sockets.get(id).socket.close(() => say({ id, closed: true }));
    sockets.delete(id);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { ask, ...values } = JSON.parse(line);
  asked[ask](values);
}
process.exit(0);
