// Text for a terminal: made harmless, wrapped, cut, and times a person can read. Pure.

/** C0, DEL, C1 and the characters that turn the writing direction: what strangers send must not steer a terminal. */
// oxlint-disable-next-line no-control-regex
const steering = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

export const clean = (text: string): string => text.replace(steering, "?");

/** JSON that a terminal can show: what steers it is escaped, the value stays the same. */
export const jsonText = (value: unknown): string =>
  `${JSON.stringify(value, null, 2).replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )}\n`;

export const cut = (text: string, width: number): string =>
  text.length <= width ? text : width <= 1 ? text.slice(0, Math.max(0, width)) : `${text.slice(0, width - 1)}…`;

/** Lines of at most `width`, broken at blanks, or anywhere where there are none. */
const wrap = (text: string, width: number): readonly string[] => {
  const lines: string[] = [];
  let line = "";
  for (let word of text.split(" ")) {
    while (word.length > width) {
      const room = line === "" ? width : width - line.length - 1;
      if (room < Math.min(12, width)) {
        lines.push(line);
        line = "";
        continue;
      }
      lines.push(line === "" ? word.slice(0, room) : `${line} ${word.slice(0, room)}`);
      word = word.slice(room);
      line = "";
    }
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => each.trimEnd()).filter((each) => each !== "");
};

/** `label` once, then the text behind it, wrapped under itself. */
export const hang = (label: string, text: string, width: number): readonly string[] => {
  const indent = " ".repeat(label.length);
  return wrap(text, Math.max(20, width - label.length)).map((line, at) => `${at === 0 ? label : indent}${line}`);
};

const two = (value: number): string => String(value).padStart(2, "0");

/** `00:12`, `1:02:03`, `3d 04:05`. */
export const duration = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (hours >= 24) return `${Math.floor(hours / 24)}d ${two(hours % 24)}:${two(minutes % 60)}`;
  return hours === 0 ? `${two(minutes)}:${two(seconds % 60)}` : `${hours}:${two(minutes % 60)}:${two(seconds % 60)}`;
};

export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;
