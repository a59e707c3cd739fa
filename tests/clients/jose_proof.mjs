// Prints a compact JWS made by jose: KEY_FILE, HEADER (JSON) and CLAIMS (JSON) come in the environment.
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { SignJWT } from "jose";

const { KEY_FILE, HEADER, CLAIMS } = process.env;
const token = new SignJWT(JSON.parse(CLAIMS)).setProtectedHeader(JSON.parse(HEADER));
console.log(await token.sign(createPrivateKey(readFileSync(KEY_FILE))));
