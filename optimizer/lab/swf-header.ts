/**
 * What an SWF log's header says of the machine's size: `; MaxProcs: n`, or where that is missing `; MaxNodes: n`, which by the format is the
 * same unless nodes have several processors. What follows the number, as the sizes of partitions do, is a remark. Of several such lines the
 * largest counts: a machine that grew.
 */
import { malformed } from './malformed.ts'

/** More than any machine has, by far. */
export const MOST_PROCESSORS = 100_000_000
const SIZE = /^;\s*(MaxProcs|MaxNodes)\s*:\s*(\S.*)?$/i
/** Digits, in groups or not, that end where a remark may begin; no product, but x86 is none. */
const WHOLE = /^(\d{1,3}(?:,\d{3})+|\d+)(?=$|\s|\(|;)(?!\s*[-+*/×]\s*\d)(?!\s*x\s*(?!86(?:\b|_))\d)/i

/** Reads a header line by line. */
export class SwfHeader {
  readonly #sizes = { maxprocs: [] as number[], maxnodes: [] as number[] }

  /** Throws an `AppError` for a size that begins with a digit and is no whole number. What begins otherwise is unknown (−1, "N/A"). */
  read(text: string, file: string, line: number): void {
    const [, field = '', value = ''] = SIZE.exec(text) ?? []
    if (!/^\d/.test(value)) return
    const size = Number(WHOLE.exec(value)?.[1]?.replaceAll(',', '') ?? NaN)
    if (Number.isNaN(size)) throw malformed({ file, line, field, got: value, expected: 'a whole number' })
    if (size > MOST_PROCESSORS) {
      throw malformed({ file, line, field, got: size, expected: `≤ ${MOST_PROCESSORS}` })
    }
    if (size > 0) this.#sizes[/procs/i.test(field) ? 'maxprocs' : 'maxnodes'].push(size)
  }

  /** Processors; 0 when the header says nothing. */
  get processors(): number {
    return Math.max(0, ...this.#known)
  }

  /** What must be known of that number. */
  notes(): string[] {
    const known = this.#known
    const { maxprocs } = this.#sizes
    if (known.length === 0) return []
    return [
      ...(maxprocs.length > 0
        ? []
        : [`the header has no MaxProcs: MaxNodes, ${this.processors}, is taken for processors`]),
      ...(new Set(known).size < 2
        ? []
        : [`the header tells the machine's size as ${known.join(', ')}: the largest counts`])
    ]
  }

  get #known(): readonly number[] {
    const { maxprocs, maxnodes } = this.#sizes
    return maxprocs.length > 0 ? maxprocs : maxnodes
  }
}
