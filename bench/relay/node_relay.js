// A relay as one writes it on Node's sockets, with the protocol of ours: what a relay in a scripting language takes.
//
//     node node_relay.js SERVER_PORT CLIENT_PORT SESSIONS
//
// Its sessions have one host and one client each, with the tokens that `load/flow.c` makes up.
"use strict";
const dgram = require("dgram");

const [serverPort, clientPort, sessions] = process.argv.slice(2).map(Number);
const BUFFER = 4 << 20;
const PING = 1, DATA = 2, VALID = Buffer.from([PING, 2]);

const sessionsByToken = new Map();
for (let number = 1; number <= sessions; number++) {
  const token = (factor) => Math.imul(number, factor) >>> 0;
  const session = { host: null, users: new Map(), clients: new Map() };
  session.users.set(token(0x85ebca6b), { session, address: null, connection: 0 });
  session.users.set(token(0xc2b2ae35), { session, address: null, connection: 0 });
  sessionsByToken.set(token(0x9e3779b1), session);
}

function open(port, hear) {
  const socket = dgram.createSocket({ type: "udp4", recvBufferSize: BUFFER, sendBufferSize: BUFFER });
  socket.on("message", hear);
  socket.on("error", () => {});
  socket.bind(port, "127.0.0.1");
  return socket;
}

function find(datagram) {
  if (datagram.length < 9 || datagram.length > 1200) return undefined;
  const session = sessionsByToken.get(datagram.readUInt32LE(4));
  return session === undefined ? undefined : session.users.get(datagram.readUInt32LE(0));
}

const server = open(serverPort, (datagram, from) => {
  const user = find(datagram);
  if (user === undefined) return;
  user.session.host = from;
  if (datagram[8] === PING) {
    server.send(VALID, from.port, from.address);
  } else if (datagram[8] === DATA && datagram.length > 13) {
    const client = user.session.clients.get(datagram.readUInt32LE(9));
    if (client === undefined) return;
    datagram[12] = DATA;
    clientSide.send(datagram.subarray(12), client.address.port, client.address.address);
  }
});

const clientSide = open(clientPort, (datagram, from) => {
  const user = find(datagram);
  if (user === undefined) return;
  user.address = from;
  if (user.connection === 0) {
    user.connection = user.session.clients.size + 1;
    user.session.clients.set(user.connection, user);
  }
  if (datagram[8] === PING) {
    clientSide.send(VALID, from.port, from.address);
  } else if (datagram[8] === DATA && datagram.length > 9 && user.session.host !== null) {
    datagram[4] = DATA;
    datagram.writeUInt32LE(user.connection, 5);
    server.send(datagram.subarray(4), user.session.host.port, user.session.host.address);
  }
});
