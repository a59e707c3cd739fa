// The clients that agents have behind a gateway: supabase-js, postgrest-js and bare HTTP. It reads one JSON command a
// line and answers each with one line of JSON, so that a test keeps one process.
import { createHash, createPrivateKey, createPublicKey, createSecretKey, randomUUID } from "node:crypto";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { createInterface } from "node:readline";
import { PostgrestClient } from "@supabase/postgrest-js";
import { createClient } from "@supabase/supabase-js";
import { SignJWT } from "jose";

const seconds = () => Math.floor(Date.now() / 1000);

// Null takes a member out.
const merged = (members, changes) =>
  Object.fromEntries(Object.entries({ ...members, ...changes }).filter(([, value]) => value !== null));

// A proof as docs/spec/proof.md describes it, for one use.
function sign({ agent, audience, claims, header }) {
  const certificate = new X509Certificate(readFileSync(agent.certificate));
  const signed = merged({ aud: audience, iat: seconds(), exp: seconds() + 30, jti: randomUUID() }, claims);
  const named = {
    typ: "kakunin-proof+jwt",
    alg: agent.algorithm,
    "x5t#S256": createHash("sha256").update(certificate.raw).digest("base64url"),
    kid: certificate.serialNumber,
  };
  return new SignJWT(signed)
    .setProtectedHeader(merged(named, header))
    .sign(createPrivateKey(readFileSync(agent.key)));
}

// A gateway's token: claims in the order in which they are given.
function mint({ claims, algorithm, secret, key }) {
  const signer = secret ? createSecretKey(Buffer.from(secret)) : createPrivateKey(readFileSync(key));
  return new SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: "JWT" }).sign(signer);
}

// The token that the platform's TypeScript SDK mints for an agent, member by member in its order.
function platformToken({ agentId, serial, scopes, secret }) {
  const issued = seconds();
  const claims = {
    aud: "authenticated",
    role: "authenticated",
    sub: agentId,
    iat: issued,
    exp: issued + 3600,
    app_metadata: { provider: "kakunin", cert_serial: serial, cert_status: "active", scopes },
    user_metadata: { is_agent: true },
  };
  return mint({ claims, algorithm: "HS256", secret });
}

// What a client does to act as an agent: each attempt of each request gets a proof of its own.
const signing = (proof, send) => async (input, init = {}) => {
  const called = new URL(input);
  const asked = { htm: init.method ?? "GET", htu: called.origin + called.pathname };
  const headers = new Headers(init.headers);
  headers.set("x-kakunin-proof", await sign({ ...proof, claims: { ...asked, ...proof.claims } }));
  return send(input, { ...init, headers });
};

// Counts attempts; the first `lose` answers get lost on the way back, after the server has done its work.
const watched = (seen, lose, send) => async (input, init) => {
  seen.attempts += 1;
  seen.proofs.push(new Headers(init.headers).get("x-kakunin-proof"));
  const answer = await send(input, init);
  if (seen.attempts > lose) return answer;
  await answer.text();
  return new Response("{}", { status: 503, headers: { "retry-after": "0" } });
};

// Supabase's proxy serves PostgREST below /rest/v1 and strips that.
const stripped = (send) => (input, init) => send(String(input).replace("/rest/v1", ""), init);

function supabase(command, send) {
  const { proof, late } = command;
  const client = createClient(command.url, command.apiKey, {
    db: { schema: "api" },
    auth: { persistSession: false, autoRefreshToken: false },
    // Node before 22 has no WebSocket, and supabase-js wants one even where nothing is subscribed to.
    realtime: { transport: class {} },
    global: { headers: command.headers, fetch: proof && !late ? signing(proof, stripped(send)) : stripped(send) },
  });
  if (proof && late) client.rest.fetch = signing(proof, client.rest.fetch);
  for (const [name, value] of Object.entries(command.lateHeaders ?? {})) client.rest.headers.set(name, value);
  return client;
}

function postgrest({ url, headers, proof }, send) {
  return new PostgrestClient(url, { schema: "api", headers, fetch: proof ? signing(proof, send) : send });
}

async function ask(client, { table, columns, head, rows, change, at, rpc, parameters, get }) {
  if (rpc) return client.rpc(rpc, parameters ?? {}, { get });
  if (rows) return client.from(table).insert(rows);
  if (change) return client.from(table).update(change).eq("id", at).select("id");
  return client.from(table).select(columns ?? "id", { head, count: head ? "exact" : undefined }).order("id");
}

async function call(command) {
  const seen = { attempts: 0, proofs: [] };
  const send = watched(seen, command.lose ?? 0, fetch);
  const client = command.library === "postgrest" ? postgrest(command, send) : supabase(command, send);
  const { data, error, status, count } = await ask(client, command.call);
  return { data, error, status, count, ...seen };
}

// Header lines exactly as given: a flat list of names and values, names more than once.
function http({ url, method, path, lines, body }) {
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { method, headers: ["host", new URL(url).host, ...lines] }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      answer.on("end", () => {
        let parsed = null;
        try {
          parsed = JSON.parse(text);
        } catch {
          // No JSON: an answer of the HTTP server itself, or none to a HEAD.
        }
        const failed = answer.statusCode >= 400;
        resolve({ status: answer.statusCode, data: failed ? null : parsed, error: failed ? parsed : null });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const commands = {
  call,
  // All at once; the answers in the order of the commands.
  together: async ({ calls }) => ({ answers: await Promise.all(calls.map(call)) }),
  http,
  mint: async (command) => ({ text: await mint(command) }),
  jwk: async ({ key }) => ({ text: JSON.stringify(createPublicKey(readFileSync(key)).export({ format: "jwk" })) }),
  platformToken: async (command) => ({ text: await platformToken(command) }),
  sign: async (command) => ({ text: await sign(command) }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const answer = await commands[command.do](command).catch((error) => ({ failure: String(error.stack) }));
  console.log(JSON.stringify(answer));
}
