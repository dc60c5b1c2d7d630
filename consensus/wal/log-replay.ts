/**
 * The log that a sequence of records makes: base, entries, and the rules that every record must keep. Replay begins in
 * the middle when older segments are gone, so entries below the base may be missing, but only there.
 */
import { confStateOf } from '../types.ts'
import type { Entry } from '../types.ts'
import type { LogRecord } from './batch.ts'
import type { LogBase } from './types.ts'

/** The base of a log that nothing was written to. */
const EMPTY_BASE: LogBase = { index: 0, term: 0, confState: confStateOf([]) }

/** Collects records into a log. Methods return what is wrong, or undefined. */
export class LogReplay {
  #base: LogBase = EMPTY_BASE
  #entries: Entry[] = []
  /** The entry before `#entries[0]`. Its term is unknown when it went with its segment; then there are entries after it. */
  #before: { index: number; term: number | undefined }

  /** The log goes on after that entry. */
  constructor(previousIndex: number, previousTerm: number) {
    this.#before = { index: previousIndex, term: previousTerm }
  }

  get lastIndex(): number {
    return this.#before.index + this.#entries.length
  }

  get lastTerm(): number {
    return this.#entries.at(-1)?.term ?? this.#before.term ?? 0
  }

  apply(record: LogRecord): string | undefined {
    if (record.kind === 'entry') return this.#append(record.entry)
    if (record.base.index < this.#base.index) {
      return `base ${record.base.index} below the base ${this.#base.index} before it`
    }
    this.#base = record.base
    if (record.kind === 'reset') {
      this.#entries = []
      this.#before = { index: record.base.index, term: record.base.term }
    } else if (record.base.index > this.lastIndex) {
      return `base ${record.base.index} beyond the last index ${this.lastIndex}`
    }
    return undefined
  }

  /** The finished log, or why it is none. */
  finish(): { readonly base: LogBase; readonly entries: readonly Entry[] } | string {
    const { index, term } = this.#base
    if (index < this.#before.index) {
      return `entries ${index + 1} to ${this.#before.index} are missing below the first one`
    }
    const logTerm = this.#termAt(index)
    if (logTerm !== undefined && logTerm !== term) {
      return `base ${index}: got term ${term}, but the log has ${logTerm} there`
    }
    return { base: this.#base, entries: this.#entries.slice(index - this.#before.index) }
  }

  #append(entry: Entry): string | undefined {
    const { index, term } = entry
    if (index > this.lastIndex + 1)
      return `entry ${index} after ${this.lastIndex}: entries between are missing`
    if (index <= this.#base.index) return `entry ${index} at or below the base ${this.#base.index}`
    if (index <= this.#before.index) {
      // It replaces entries of a removed segment.
      this.#entries = []
      this.#before = { index: index - 1, term: undefined }
    } else {
      this.#entries.length = index - this.#before.index - 1
    }
    if (term < this.lastTerm) return `entry ${index}: got term ${term} after term ${this.lastTerm}`
    this.#entries.push(entry)
    return undefined
  }

  #termAt(index: number): number | undefined {
    if (index === this.#before.index) return this.#before.term
    return this.#entries[index - this.#before.index - 1]?.term
  }
}
