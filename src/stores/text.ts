// Text as SQL databases keep it. Their text is UTF-8, which has no half of a surrogate pair; PostgreSQL takes no NUL, and
// libsql reads up to the first one. Text that would not come back as it was is kept as JSON behind a mark; equal texts
// stay equal, so owners can still be found.
const MARK = '\u0001'

/** What a text column keeps. */
export function toText(text: string): string
export function toText(text: string | undefined): string | null
export function toText(text: string | undefined): string | null {
  if (text === undefined) return null
  return text.startsWith(MARK) || text.includes('\0') || !isWellFormed(text) ? MARK + JSON.stringify(text) : text
}

/** What was given to {@link toText}. */
export function fromText(text: string): string {
  return text.startsWith(MARK) ? String(JSON.parse(text.slice(1))) : text
}

function isWellFormed(text: string): boolean {
  // Every supported Node has the method; the type library of ES2023 does not.
  return (text as string & { isWellFormed(): boolean }).isWellFormed()
}
