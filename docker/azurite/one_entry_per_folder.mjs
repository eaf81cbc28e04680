// Azure lists a folder's marker and its prefix next to each other, and Hadoop's client merges the two. Azurite
// lists all prefixes before all blobs, so every folder would appear twice, and a partitioned table would contain
// every row twice. This patch omits the marker if its prefix is on the same page.
import { readFileSync, writeFileSync } from "node:fs";

const file = "node_modules/azurite/dist/src/blob/handlers/ContainerHandler.js";
const listed = "blobItems: blobItems.map(item => {";
const once = `blobItems: blobItems.filter(function (item) {
                    return !(item.metadata?.hdi_isfolder === "true" && this.has(item.name + "/"));
                }, new Set(blobPrefixes.map(each => each.name))).map(item => {`;

const code = readFileSync(file, "utf8");
if (code.split(listed).length !== 2) {
  throw new Error(`${file} has changed: check whether Azurite still lists folders twice.`);
}
writeFileSync(file, code.replace(listed, once));
