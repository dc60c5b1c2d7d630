/** A real attempt host with folders of its own, for tests. Needs the build: processes run from `dist/`. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { incarnation } from '../../base/ids.ts'
import { monotonicMs } from '../../base/units.ts'
import { createAttemptHost } from '../../node/supervisor/attempt-host.ts'
import type { AttemptHostOptions } from '../../node/supervisor/options.ts'
import { createClock } from '../../node/system/clock.ts'
import type { AttemptExit, AttemptHost, AttemptStart } from '../../runtime/ports/attempt-host.ts'
import { recordHost, whenSaid } from './attempts.ts'
import type { HostRecord } from './attempts.ts'

export interface RealHost {
  readonly host: AttemptHost
  readonly record: HostRecord
  readonly folder: string
  readonly logged: { readonly level: string; readonly message: string }[]
  /** Begins an attempt and resolves with its report. */
  run(attempt: AttemptStart): Promise<AttemptExit>
  exitOf(token: number): Promise<AttemptExit>
  /** Gives incarnation 1 this much more time from now. */
  lease(ms: number): void
  /** What processes of this host's data folder are alive: its supervisor, pool processes, attempts. */
  processes(): { readonly pid: number; readonly command: string }[]
  close(): Promise<void>
}

/** Starts a host whose handlers are the given modules, by file name. Its lease is an hour unless the test says so. */
export async function startRealHost(
  modules: Readonly<Record<string, string>> = {},
  options: Partial<AttemptHostOptions> = {},
  folder: string = mkdtempSync(join(tmpdir(), 'dtss-test-'))
): Promise<RealHost> {
  const handlersFolder = join(folder, 'handlers')
  mkdirSync(handlersFolder, { recursive: true })
  for (const [name, source] of Object.entries(modules)) writeFileSync(join(handlersFolder, name), source)
  const clock = createClock()
  const logged: RealHost['logged'] = []
  const log = (level: string) => (_fields: object, message: string) => {
    logged.push({ level, message })
  }
  const host = createAttemptHost({
    dataFolder: join(folder, 'data'),
    slots: 4,
    executors: ['shell', 'js'],
    handlersFolder,
    clock,
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    ...options
  })
  const record = recordHost()
  await host.start(record)
  const lease = (ms: number): void => {
    host.extendLease(incarnation(1), monotonicMs(clock.monotonicNow() + ms))
  }
  lease(3_600_000)
  const exitOf = async (token: number): Promise<AttemptExit> => {
    const find = (): AttemptExit | undefined => record.exits.find((exit) => exit.token === token)
    await whenSaid(record, () => find() !== undefined)
    return find()!
  }
  return {
    host,
    record,
    folder,
    logged,
    exitOf,
    lease,
    run: (attempt) => {
      host.begin(attempt)
      return exitOf(attempt.token)
    },
    processes: () => processesOf(folder),
    close: async () => {
      await host.close()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** Live processes that belong to a data folder: by their mark, or by their settings. */
export function processesOf(folder: string): { readonly pid: number; readonly command: string }[] {
  const mark = readText(join(folder, 'data', 'attempts', 'mark')) ?? 'no mark'
  const found: { pid: number; command: string }[] = []
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const command = (readText(`/proc/${pid}/cmdline`) ?? '').replaceAll('\0', ' ')
    const environment = readText(`/proc/${pid}/environ`) ?? ''
    const ours = environment.includes(`DTSS_MARK=${mark}.`) || command.includes(folder)
    if (ours && !isZombie(pid)) found.push({ pid, command })
  }
  return found
}

/** How many of them began as this: a program's name and first arguments. */
export function commandsOf(folder: string, beginning: string): number {
  return processesOf(folder).filter(({ command }) => command.startsWith(beginning)).length
}

function isZombie(pid: number): boolean {
  return /\) Z /.test(readText(`/proc/${pid}/stat`) ?? ') Z ')
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
