// Azurite is healthy if it answers a request over TLS, signed with the account's key, for each account.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import https from "node:https";

const VERSION = "2021-08-06";

function answers(account, key) {
  const date = new Date().toUTCString();
  // Shared Key: the verb, eleven standard headers that we don't send, ours, and the resource with its query.
  const signed = `GET${"\n".repeat(12)}x-ms-date:${date}\nx-ms-version:${VERSION}\n/${account}/${account}/\ncomp:list`;
  const signature = createHmac("sha256", Buffer.from(key, "base64")).update(signed).digest("base64");
  return new Promise((resolve, reject) => {
    const request = https.get(
      {
        host: "localhost",
        port: 10000,
        path: `/${account}/?comp=list`,
        ca: readFileSync("/etc/harness/ca.pem"),
        timeout: 2000,
        headers: { "x-ms-date": date, "x-ms-version": VERSION, authorization: `SharedKey ${account}:${signature}` },
      },
      (response) => {
        response.resume();
        response.statusCode === 200 ? resolve() : reject(new Error(`${account}: HTTP ${response.statusCode}`));
      },
    );
    request.on("timeout", () => request.destroy(new Error(`${account}: no answer within 2 s`)));
    request.on("error", reject);
  });
}

const secret = (name) => readFileSync(`/run/secrets/${name}`, "utf8").trim();

try {
  await answers(process.env.LAKE_ACCOUNT, secret("lake_key"));
  await answers(process.env.MODELS_ACCOUNT, secret("models_key"));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
