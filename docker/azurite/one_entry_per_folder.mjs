// Azure lists a folder's marker and its prefix side by side, and Hadoop's client takes the two for one. Azurite
// lists all prefixes before all blobs, and every folder would show up twice (a partitioned table would have every
// row twice). So the marker is left out where the prefix says the same.
import { readFileSync, writeFileSync } from "node:fs";

const file = "node_modules/azurite/dist/src/blob/handlers/ContainerHandler.js";
const listed = "blobItems: blobItems.map(item => {";
const once = `blobItems: blobItems.filter(function (item) {
                    return !(item.metadata?.hdi_isfolder === "true" && this.has(item.name + "/"));
                }, new Set(blobPrefixes.map(each => each.name))).map(item => {`;

const code = readFileSync(file, "utf8");
if (code.split(listed).length !== 2) {
  throw new Error(`${file} has changed: see whether Azurite still lists folders twice.`);
}
writeFileSync(file, code.replace(listed, once));
