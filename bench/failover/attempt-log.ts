/** Reads the file that attempts write to: which of them run, when each ran, and which ran beside each other. */
import { closeSync, openSync, readSync } from 'node:fs'
import type { WorkLine } from './work.ts'

/** An attempt by its lines: it spans from its first to its last. */
export interface Span {
  readonly task: string
  readonly token: number
  readonly from: number
  to: number
  ended: boolean
}

/** Without a line for this long an attempt does not run, as far as this file tells. */
const SILENCE_MS = 1_000
const CHUNK_BYTES = 1 << 20

export class AttemptLog {
  readonly #fd: number
  readonly #spans = new Map<number, Span>()
  #offset = 0
  #rest = ''

  constructor(file: string) {
    this.#fd = openSync(file, 'a+')
  }

  /** All attempts so far, by token. */
  read(): ReadonlyMap<number, Span> {
    const buffer = Buffer.alloc(CHUNK_BYTES)
    for (;;) {
      const count = readSync(this.#fd, buffer, 0, CHUNK_BYTES, this.#offset)
      if (count === 0) return this.#spans
      this.#offset += count
      const lines = (this.#rest + buffer.toString('latin1', 0, count)).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) this.#take(JSON.parse(line) as WorkLine)
    }
  }

  /** Attempts that run at `now`. */
  running(now: number): Span[] {
    return [...this.read().values()].filter((span) => !span.ended && now - span.to < SILENCE_MS)
  }

  /** The first attempt of a task with a higher token than this one's. */
  successor(task: string, token: number): Span | undefined {
    const later = [...this.read().values()].filter((span) => span.task === task && span.token > token)
    return later.sort((a, b) => a.token - b.token)[0]
  }

  /** Pairs of attempts of one task, among `tasks`, whose spans have a moment in common. */
  overlaps(tasks: ReadonlySet<string>): (readonly [Span, Span])[] {
    const byTask = new Map<string, Span[]>()
    for (const span of this.read().values()) {
      if (!tasks.has(span.task)) continue
      const others = byTask.get(span.task)
      if (others === undefined) byTask.set(span.task, [span])
      else others.push(span)
    }
    const pairs: (readonly [Span, Span])[] = []
    for (const spans of byTask.values()) {
      for (const [index, a] of spans.entries()) {
        for (const b of spans.slice(index + 1)) if (a.from <= b.to && b.from <= a.to) pairs.push([a, b])
      }
    }
    return pairs
  }

  close(): void {
    closeSync(this.#fd)
  }

  #take({ task, token, at, mark }: WorkLine): void {
    const span = this.#spans.get(token)
    if (span === undefined) this.#spans.set(token, { task, token, from: at, to: at, ended: mark === 'end' })
    else {
      span.to = Math.max(span.to, at)
      span.ended ||= mark === 'end'
    }
  }
}
