import { pino } from 'pino'
import type { Logger } from '../../runtime/ports/log.ts'

export interface LoggerOptions {
  /** Fields on every line, for example `{ nodeId, clusterId }`. */
  readonly fields?: Readonly<Record<string, unknown>>
  /** Default `info`. */
  readonly level?: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** Where lines go. Default: standard error, so that standard output stays for results. */
  readonly write?: (line: string) => void
}

/** JSON lines by pino, written synchronously: the last lines before a crash are the ones that matter. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const { write } = options
  const destination = write === undefined ? pino.destination({ fd: 2, sync: true }) : { write }
  const log = pino(
    {
      level: options.level ?? 'info',
      base: options.fields ?? {},
      formatters: { level: (label) => ({ level: label }) },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { error: pino.stdSerializers.err }
    },
    destination
  )
  return {
    debug: (fields, message) => {
      log.debug(fields, message)
    },
    info: (fields, message) => {
      log.info(fields, message)
    },
    warn: (fields, message) => {
      log.warn(fields, message)
    },
    error: (fields, message) => {
      log.error(fields, message)
    }
  }
}
