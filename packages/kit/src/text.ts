// Text that is kept for long. V8 makes a piece of a text point into the whole: one kept header value would hold a message.

/** The same text with memory of its own. For octets held as Latin-1; other text comes back as it is. */
export const ownText = (text: string): string => {
  // Shorter pieces are copies anyway.
  if (text.length < 13) return text;
  const own = Buffer.from(text, "latin1").toString("latin1");
  return own === text ? own : text;
};

/** Gives equal texts as one, as long as there are few different ones: of the first `most`, others come back copied. */
export const interning = (most: number): ((text: string) => string) => {
  const known = new Map<string, string>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found;
    const own = ownText(text);
    if (known.size < most) known.set(own, own);
    return own;
  };
};
