/** Bytes as a double-quoted literal, in the form that Go's `%q` gives them. */

const NAMED: ReadonlyMap<number, string> = new Map([
  [0x07, '\\a'],
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0b, '\\v'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
  [0x22, '\\"'],
  [0x5c, '\\\\']
])

/** Ranges beyond ASCII that are spaces, controls, formatting marks or unassigned planes: printed as escapes. */
const UNPRINTABLE: readonly (readonly [low: number, high: number])[] = [
  [0x80, 0xa0],
  [0xad, 0xad],
  [0x600, 0x605],
  [0x1680, 0x1680],
  [0x180e, 0x180e],
  [0x2000, 0x200f],
  [0x2028, 0x202f],
  [0x205f, 0x206f],
  [0x3000, 0x3000],
  [0xd800, 0xf8ff],
  [0xfeff, 0xfeff],
  [0xfff0, 0xfffb],
  [0xfffe, 0xffff],
  [0xe0000, 0x10ffff]
]

/** Quotes bytes as UTF-8 text; what is not text or not printable is escaped. */
export function quoteBytes(bytes: Uint8Array): string {
  let text = '"'
  let at = 0
  while (at < bytes.length) {
    const rune = decodeRune(bytes, at)
    text += rune === undefined ? `\\x${hexDigits(bytes[at] ?? 0, 2)}` : quoteRune(rune.code)
    at += rune?.size ?? 1
  }
  return `${text}"`
}

function quoteRune(code: number): string {
  const named = NAMED.get(code)
  if (named !== undefined) return named
  if (code < 0x20 || code === 0x7f) return `\\x${hexDigits(code, 2)}`
  if (code < 0x7f || !UNPRINTABLE.some(([low, high]) => code >= low && code <= high)) {
    return String.fromCodePoint(code)
  }
  return code < 0x1_0000 ? `\\u${hexDigits(code, 4)}` : `\\U${hexDigits(code, 8)}`
}

/** The code point at a position, or undefined when the bytes there are not well-formed UTF-8. */
function decodeRune(bytes: Uint8Array, at: number): { code: number; size: number } | undefined {
  const lead = bytes[at] ?? 0
  if (lead < 0x80) return { code: lead, size: 1 }
  const size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
  if (lead < 0xc2 || lead > 0xf4) return undefined
  let code = lead & (0xff >> (size + 1))
  for (let i = 1; i < size; i++) {
    const next = bytes[at + i]
    if (next === undefined || (next & 0xc0) !== 0x80) return undefined
    code = code * 64 + (next & 0x3f)
  }
  const smallest = size === 2 ? 0x80 : size === 3 ? 0x800 : 0x1_0000
  if (code < smallest || code > 0x10_ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined
  return { code, size }
}

function hexDigits(value: number, width: number): string {
  return value.toString(16).padStart(width, '0')
}
