/**
 * What runs on this machine, from /proc. Empty where there is no /proc: process groups are all that can be told apart
 * there. Reads synchronously, so that none of it waits in libuv's pool; it is used by the supervisor process only.
 */
import { readFileSync, readdirSync } from 'node:fs'

export interface ProcessInfo {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session: number
  /** Clock ticks since the machine's start: with the pid, the identity of a process. */
  readonly startTicks: number
  readonly residentPages: number
}

/** The environment variable that every attempt and all that it starts inherit. */
export const MARK_VARIABLE = 'DTSS_MARK'

/** Every process that is alive; zombies hold nothing any more and do not count. */
export function readProcessTable(): ProcessInfo[] {
  const processes: ProcessInfo[] = []
  for (const name of listProc()) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    const info = readProcess(pid)
    if (info !== undefined) processes.push(info)
  }
  return processes
}

/** When a process started, zombies included; 0 when there is none of this pid. */
export function readStartTicks(pid: number): number {
  return Number(readStat(pid)?.[19] ?? 0)
}

function readProcess(pid: number): ProcessInfo | undefined {
  const fields = readStat(pid)
  if (fields === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined
  return {
    pid,
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    startTicks: Number(fields[19]),
    residentPages: Number(fields[21])
  }
}

/** The mark that a process inherited; undefined when it has none or is not ours to read. */
export function readMark(pid: number): string | undefined {
  const environment = readText(`/proc/${pid}/environ`)
  if (environment === undefined) return undefined
  const start = `\0${environment}`.indexOf(`\0${MARK_VARIABLE}=`)
  if (start < 0) return undefined
  const from = start + MARK_VARIABLE.length + 1
  const end = environment.indexOf('\0', from)
  return environment.slice(from, end < 0 ? undefined : end)
}

/** Distinguishes this start of the machine from others, between which pids and ticks mean nothing. */
export function bootId(): string {
  return readText('/proc/sys/kernel/random/boot_id')?.trim() ?? ''
}

/** Sends a signal to a process, or to a group with a negative number. False when there is none. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch {
    return false
  }
}

/** Fields of the stat line from the third (the state) on. */
function readStat(pid: number): string[] | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  // The second field is the name in parentheses and may itself hold spaces and parentheses.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function listProc(): string[] {
  try {
    return readdirSync('/proc')
  } catch {
    return []
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
