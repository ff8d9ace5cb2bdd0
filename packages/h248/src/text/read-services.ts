// Owns the ServiceChange descriptor (H.248.1 7.2.8, Annex B.2: serviceChangeParm, servChgReplyParm).
import type { Cursor, Draft } from "./cursor.ts";
import { decimal, uint16, uint32 } from "./cursor.ts";
import type { AuditItem, Property, ServicesDescriptor } from "./descriptor.ts";
import { isTimeStamp } from "./read-events.ts";
import { readMid } from "./read-mid.ts";
import { readCondition } from "./read-property.ts";
import { auditable, vocabulary } from "./tokens.ts";

const serviceWords = vocabulary(
  "Method",
  "Reason",
  "Delay",
  "Version",
  "Profile",
  "ServiceChangeAddress",
  "MgcIdToTry",
  "ServiceChangeInc",
);
const methods = vocabulary("Restart", "Forced", "Graceful", "Disconnected", "HandOff", "Failover");
const extension = /^x[-+][a-z0-9]{1,6}$/i;

const readMethod = (cursor: Cursor): string => {
  cursor.expect("=");
  cursor.skip();
  const start = cursor.at;
  const word = cursor.word(cursor.limits.maxName);
  const method = methods.get(word.toLowerCase());
  if (method === undefined && !extension.test(word)) cursor.fail("unknown-word", start);
  return method ?? word;
};

/** A port number alone, or a mid. */
const readAddress = (cursor: Cursor): string => {
  cursor.expect("=");
  cursor.skip();
  const start = cursor.at;
  const digits = cursor.run();
  const port = decimal(digits, uint16);
  if (port !== undefined) return String(port);
  if (!cursor.failed) cursor.at = start;
  return readMid(cursor);
};

const readProfile = (cursor: Cursor): string => {
  cursor.expect("=");
  cursor.skip();
  const start = cursor.at;
  const profile = cursor.word(cursor.limits.maxName + 3);
  if (!/^[^/]+\/\d{1,2}$/.test(profile)) cursor.fail("syntax", start);
  return profile;
};

const readReason = (cursor: Cursor): string => {
  cursor.expect("=");
  return cursor.value().text;
};

/** What follows the Services token. */
export const readServices = (cursor: Cursor): ServicesDescriptor => {
  const extensions: Property[] = [];
  const audit: AuditItem[] = [];
  const services: Draft<ServicesDescriptor> = { kind: "services", extensions };
  const seen: unknown[] = [];
  cursor.list(() => {
    cursor.skip();
    const start = cursor.at;
    const name = cursor.name();
    const word = serviceWords.get(name.toLowerCase());
    if (word !== undefined) cursor.once(seen, word);
    if (word === "Method") services.method = readMethod(cursor);
    else if (word === "Reason") services.reason = readReason(cursor);
    else if (word === "Delay") services.delay = cursor.assignedInteger(uint32);
    else if (word === "Version") services.version = cursor.assignedInteger(99);
    else if (word === "Profile") services.profile = readProfile(cursor);
    else if (word === "ServiceChangeAddress") services.address = readAddress(cursor);
    else if (word === "MgcIdToTry") {
      cursor.expect("=");
      services.mgcIdToTry = readMid(cursor);
    } else if (word === "ServiceChangeInc") services.incomplete = true;
    else if (isTimeStamp(name)) services.timeStamp = name.toUpperCase();
    else if (extension.test(name)) extensions.push(readCondition(cursor, name));
    else {
      const item = auditable.get(name.toLowerCase());
      if (item === undefined) cursor.fail("unknown-word", start);
      else audit.push({ name: item });
    }
  });
  if (audit.length > 0) services.audit = audit;
  return services;
};
