// Searches what was dumped or printed for what must not be in it.

/** Which of these texts can be found, as they are or in an encoding that a store may have used. */
export function found(dump: Buffer, texts: Readonly<Record<string, string>>): string[] {
  return Object.entries(texts).flatMap(([name, text]) =>
    shapes(text).some((shape) => dump.includes(shape)) ? [name] : [],
  )
}

function shapes(text: string): Buffer[] {
  const bytes = Buffer.from(text)
  // In base64 a text has three shapes, by where in it it begins; the first and last letters depend on its neighbours.
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
