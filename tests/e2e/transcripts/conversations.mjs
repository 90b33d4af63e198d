// The conversations whose transcripts are compared. Each is a function of a Transcript and a token.

import { SEPARATOR } from "../support/engine.mjs";

const POLLING = "?EIO=4&transport=polling";
const WEBSOCKET = "?EIO=4&transport=websocket";
const ASK = (ack) => `42${ack}["presence_list",{}]`;
const JOIN = (num = 0, count = 1) =>
  `45${count}-7["join_room",{"room":"transcript","state_vector":{"_placeholder":true,"num":${num}}}]`;
const STATE_VECTOR = Buffer.of(0);

/** A WebSocket without a session. */
async function open(transcript, token, options) {
  transcript.hide(token, "<token>");
  return transcript.open(WEBSOCKET, options);
}

/** A WebSocket with a session. */
async function connect(transcript, token, options) {
  const socket = await open(transcript, token, options);
  await socket.send(`40{"token":"${token}"}`);
  return socket;
}

/** The query of a new connection by polling, with its id. */
async function polling(transcript, token) {
  transcript.hide(token, "<token>");
  const handshake = await transcript.request("GET", POLLING);
  return `${POLLING}&sid=${JSON.parse(handshake.slice(1)).sid}`;
}

/** Frames that are sent with a session, each in a conversation of its own. */
const WITH_SESSION = {
  "a packet without a type": ["4"],
  "a packet of an unknown type": ["47"],
  "a text in place of a type": ["4abc"],
  "an event without a payload": ["42"],
  "an event whose payload is an object": ["42{}"],
  "an event without a name": ["42[]"],
  "an event whose name is a number": ["42[1]"],
  "an event whose name is an object": ["42[{}]"],
  "an event whose JSON is cut": ['42["presence_list"'],
  "an event with a reserved name": ['42["connect"]', ASK(1)],
  "an unknown event": ['42["unknown",1]', '421["unknown",1]'],
  "an event of a namespace that was not joined": ['42/other,["presence_list"]'],
  "an ack with the number 0": [ASK(0)],
  "an ack with leading zeros": [ASK("007")],
  "an ack with the largest number of 15 digits": [ASK("999999999999999")],
  "an ack with a number that is none": ['42abc["presence_list"]'],
  "an ack with a negative number": ['42-1["presence_list"]'],
  "an ack with a fraction": ['421.5["presence_list"]'],
  "an ack of the client that nobody expects": ["431[]", ASK(1)],
  "an ack of the client without a number": ["43[]", ASK(1)],
  "an ack of the client whose payload is an object": ["431{}", ASK(1)],
  "a refusal that a client sends": ['44{"message":"no"}', ASK(1)],
  "a second CONNECT": ["40{}", ASK(1)],
  "a DISCONNECT of the main namespace": ["41"],
  "a DISCONNECT of a namespace that was not joined": ["41/other", ASK(1)],
  "an event after a DISCONNECT": ["41", ASK(1)],
  "an attachment": [JOIN(), STATE_VECTOR],
  "two attachments": [JOIN(1, 2), STATE_VECTOR, STATE_VECTOR],
  "four attachments": [JOIN(3, 4), STATE_VECTOR, STATE_VECTOR, STATE_VECTOR, STATE_VECTOR],
  "five attachments": [JOIN(4, 5), STATE_VECTOR, STATE_VECTOR, STATE_VECTOR, STATE_VECTOR, STATE_VECTOR],
  "a binary event without attachments": ['450-1["presence_list",{}]'],
  "a binary event without their number": ['45["presence_list",{}]'],
  "a binary event with a number that is none": ['45x-["presence_list",{}]'],
  "a placeholder without an attachment": [JOIN(5), STATE_VECTOR],
  "a text in place of an attachment": [JOIN(), ASK(1)],
  "an attachment without an event": [STATE_VECTOR],
  "a close packet": ["1"],
  "a pong that nobody expects": ["3", ASK(1)],
  "a pong with a payload": ["3probe", ASK(1)],
  "a ping of the client": ["2", ASK(1)],
  "a noop of the client": ["6", ASK(1)],
  "an open packet of the client": ["0", ASK(1)],
  "an upgrade packet on a WebSocket": ["5", ASK(1)],
  "a text that is no packet": ["abc"],
  "an empty text": [""],
};

/** Frames that are sent without a session. */
const WITHOUT_SESSION = {
  "a CONNECT without a payload": ["40"],
  "a CONNECT with an empty object": ["40{}"],
  "a CONNECT whose JSON is cut": ['40{"token":'],
  "a CONNECT whose payload is an array": ["40[]"],
  "a CONNECT whose payload is a text": ['40"text"'],
  "a CONNECT to an unknown namespace": ["40/other", "40/other,", '40/other,{"token":"x"}'],
  "a CONNECT to an unknown namespace with a query": ["40/other?a=b,"],
  "an event before a CONNECT": [ASK(1)],
  "an ack before a CONNECT": ["431[]"],
  "a DISCONNECT before a CONNECT": ["41"],
  "bytes before a CONNECT": [Buffer.of(1, 2, 3)],
};

/** A conversation by HTTP of one request. */
const REQUESTS = {
  "no transport": ["GET", "?EIO=4"],
  "an unknown transport": ["GET", "?EIO=4&transport=carrier"],
  "no version of the protocol": ["GET", "?transport=polling"],
  "version 3 of the protocol": ["GET", "?EIO=3&transport=polling"],
  "a version that is no number": ["GET", "?EIO=abc&transport=polling"],
  "an unknown id": ["GET", `${POLLING}&sid=unknown`],
  "an empty id": ["GET", `${POLLING}&sid=`],
  "a handshake by POST": ["POST", POLLING, ""],
  "a handshake by PUT": ["PUT", POLLING, ""],
  "a WebSocket without an upgrade": ["GET", WEBSOCKET],
};

/** Bodies that are posted to a new connection; a poll follows. */
const BODIES = {
  "a body that is no packet": "abc",
  "an empty body": "",
  "a body of one separator": SEPARATOR,
  "a body with base64 that is none": "b====",
  "a ping by polling": "2",
  "a pong by polling": "3",
  "a noop by polling": "6",
};

export const conversations = {
  "the handshake of polling": (transcript) => transcript.request("GET", POLLING),
  "the handshake of a WebSocket": (transcript, token) => open(transcript, token),
  "a session": (transcript, token) => connect(transcript, token),
  "the same parameters in another order": (transcript) => transcript.request("GET", "?transport=polling&t=1&EIO=4"),

  async "a session by polling"(transcript, token) {
    const own = await polling(transcript, token);
    await transcript.request("POST", own, `40{"token":"${token}"}`);
    await transcript.collect(own, /^42\["connection"/);
    await transcript.request("POST", own, [ASK(1), ASK(2)].join(SEPARATOR));
    await transcript.collect(own, /^432/);
    await transcript.request("POST", own, [JOIN(), "bAA=="].join(SEPARATOR));
    await transcript.collect(own, /^b/);
  },
  async "a close packet by polling"(transcript, token) {
    const own = await polling(transcript, token);
    await transcript.request("POST", own, "1");
    await transcript.request("GET", own);
  },
  async "a PUT with an id"(transcript, token) {
    await transcript.request("PUT", await polling(transcript, token), "3");
  },
  async "an upgrade"(transcript, token) {
    const own = await polling(transcript, token);
    const socket = await transcript.open(own.replace("polling", "websocket"));
    await socket.send("2probe");
    await transcript.request("GET", own);
    await socket.send("5");
    await socket.send("3");
    await socket.send(`40{"token":"${token}"}`);
    await transcript.request("GET", own);
    await transcript.request("POST", own, "3");
    await transcript.open(own.replace("polling", "websocket"), { name: "second" });
    await socket.send(ASK(1));
  },
  async "an upgrade whose probe is wrong"(transcript, token) {
    const own = await polling(transcript, token);
    const socket = await transcript.open(own.replace("polling", "websocket"));
    await socket.send("2");
    await transcript.request("POST", own, "3");
  },
  async "an upgrade without a probe"(transcript, token) {
    const own = await polling(transcript, token);
    const socket = await transcript.open(own.replace("polling", "websocket"));
    await socket.send("5");
    await transcript.request("POST", own, "3");
  },
  async "an upgrade with an unknown id"(transcript) {
    await transcript.open(`${WEBSOCKET}&sid=unknown`);
  },
  async "the close code after a close packet"(transcript, token) {
    const socket = await open(transcript, token, { codes: true });
    await socket.send("1");
  },
  async "the close code after a malformed packet"(transcript, token) {
    const socket = await open(transcript, token, { codes: true });
    await socket.send("abc");
  },
  ...each(REQUESTS, (request) => (transcript) => transcript.request(...request)),
  ...each(BODIES, (body) => async (transcript, token) => {
    const own = await polling(transcript, token);
    await transcript.request("POST", own, body);
    await transcript.request("POST", own, "3");
  }),
  ...each(WITHOUT_SESSION, (frames) => async (transcript, token) => {
    const socket = await open(transcript, token);
    for (const frame of frames) await socket.send(frame);
  }),
  ...each(WITH_SESSION, (frames) => async (transcript, token) => {
    const socket = await connect(transcript, token);
    await socket.send(...frames);
  }),
};

/** Conversations with a server that pings soon: `pingInterval` 300 ms, `pingTimeout` 700 ms. */
export const impatient = {
  async "a WebSocket that answers no ping"(transcript, token) {
    await open(transcript, token);
    await transcript.settle();
  },
  async "a poll that answers no ping"(transcript, token) {
    const own = await polling(transcript, token);
    await transcript.request("GET", own);
    await transcript.request("GET", own);
    await transcript.request("GET", own);
  },
};

/** The times of the server for {@link impatient}. */
export const IMPATIENT = { pingInterval: 300, pingTimeout: 700 };

function each(table, conversation) {
  return Object.fromEntries(Object.entries(table).map(([name, entry]) => [name, conversation(entry)]));
}
