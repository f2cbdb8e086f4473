// Searches dumps and output for texts that must not be in them.

/** The names of the texts that are found, plain or in an encoding that a store may use. */
export function found(dump: Buffer, texts: Readonly<Record<string, string>>): string[] {
  return Object.entries(texts).flatMap(([name, text]) =>
    shapes(text).some((shape) => dump.includes(shape)) ? [name] : [],
  )
}

function shapes(text: string): Buffer[] {
  const bytes = Buffer.from(text)
  // In base64 a text has three forms, by its offset modulo 3. Its first and last characters depend on the bytes around it.
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.from(
      Buffer.concat([Buffer.alloc(shift), bytes])
        .toString('base64')
        .replace(/=+$/, '')
        .slice(shift === 0 ? 0 : shift + 1, -1),
    ),
  )
  return [bytes, Buffer.from(text, 'utf16le'), Buffer.from(bytes.toString('hex')), ...base64]
}
