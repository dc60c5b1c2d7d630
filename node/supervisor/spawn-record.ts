/**
 * What the supervisor spawned, kept in the data folder so that a successor can kill what was left behind. It has to
 * outlive processes, not a loss of power (after which nothing runs): plain appends, no sync.
 *
 * A line is `+pid startTicks` or `-pid`. The mark names this data folder: all that is ever spawned for it inherits the
 * mark in its environment, which also finds what was spawned but not recorded.
 */
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { bootId, readMark, readProcessTable, readStartTicks, signal } from './process-table.ts'
import type { ProcessInfo } from './process-table.ts'

const REWRITE_ABOVE_LINES = 10_000
const POLL_MS = 5

export interface SpawnRecord {
  /** 32 hexadecimal digits, the same for every life of the data folder. */
  readonly mark: string
  /** Kills what a predecessor left, and resolves with their number when nothing of it runs. */
  killLeftovers(): Promise<number>
  /** Forgets all and records this process: call after `killLeftovers`. */
  begin(): void
  spawned(pid: number): void
  gone(pid: number): void
}

/** The record of the folder, which is made if need be. */
export function openSpawnRecord(folder: string): SpawnRecord {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'spawned')
  const mark = readOrCreateMark(join(folder, 'mark'))
  const live = new Map<number, string>()
  let lines = 0

  const rewrite = (): void => {
    writeFileSync(`${path}.new`, [`boot ${bootId()}`, ...live.values(), ''].join('\n'))
    renameSync(`${path}.new`, path)
    lines = live.size
  }
  const append = (line: string): void => {
    appendFileSync(path, `${line}\n`)
    if (++lines > REWRITE_ABOVE_LINES) rewrite()
  }
  const spawned = (pid: number): void => {
    const line = `+${pid} ${readStartTicks(pid)}`
    live.set(pid, line)
    append(line)
  }
  return {
    mark,
    killLeftovers: () => killLeftovers(mark, readRecord(path)),
    begin: () => {
      live.clear()
      rewrite()
      spawned(process.pid)
    },
    spawned,
    gone: (pid) => {
      live.delete(pid)
      append(`-${pid}`)
    }
  }
}

/** Start times of recorded processes by pid; empty when the machine started anew since. */
function readRecord(path: string): Map<number, number> {
  const recorded = new Map<number, number>()
  const lines = (readIfThere(path) ?? '').split('\n')
  if (lines[0] !== `boot ${bootId()}`) return recorded
  for (const line of lines.slice(1)) {
    const match = /^([+-])([0-9]+)(?: ([0-9]+))?$/.exec(line)
    if (match === null) continue
    const pid = Number(match[2])
    if (match[1] === '+') recorded.set(pid, Number(match[3]))
    else recorded.delete(pid)
  }
  return recorded
}

async function killLeftovers(mark: string, recorded: ReadonlyMap<number, number>): Promise<number> {
  const seen = new Set<number>()
  // Roots lead groups whose members may have lost the mark; a number whose root is gone might be another's by now.
  const groups = new Set<number>()
  for (;;) {
    const table = readProcessTable()
    for (const { pid, startTicks } of table) if (recorded.get(pid) === startTicks) groups.add(pid)
    const left = table.filter((info) => isLeftover(info, mark, groups))
    if (left.length === 0) return seen.size
    for (const { pid } of left) {
      seen.add(pid)
      signal(pid, 'SIGKILL')
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

function isLeftover(info: ProcessInfo, mark: string, groups: ReadonlySet<number>): boolean {
  if (info.pid === process.pid) return false
  if (groups.has(info.group) || groups.has(info.session)) return true
  return readMark(info.pid)?.startsWith(`${mark}.`) === true
}

function readOrCreateMark(path: string): string {
  const found = readIfThere(path)?.trim()
  if (found !== undefined && /^[0-9a-f]{32}$/.test(found)) return found
  const mark = randomBytes(16).toString('hex')
  writeFileSync(`${path}.new`, mark)
  renameSync(`${path}.new`, path)
  return mark
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
