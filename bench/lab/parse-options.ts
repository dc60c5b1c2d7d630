/** The options that a benchmark of the lab was given, by their names; what values mean is in `node/cli/lab/option-values.ts`. */
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { nearestName } from '../../api/validation.ts'
import { AppError } from '../../base/errors.ts'

type Options = NonNullable<ParseArgsConfig['options']>
export type Values<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>['values']

/** The options given, and nothing else. Throws INVALID_REQUEST. */
export function parseOptions<T extends Options>(argv: readonly string[], options: T): Values<T> {
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const [, unknown] = /^Unknown option '--([^']+)'/.exec(message) ?? []
    if (unknown !== undefined) {
      const nearest = nearestName(unknown, Object.keys(options))
      const hint = nearest === undefined ? 'see' : `did you mean --${nearest}? See`
      throw new AppError('INVALID_REQUEST', `Unknown option '--${unknown}'; ${hint} --help`, {
        cause: error,
        details: { option: unknown, ...(nearest !== undefined && { nearest: `--${nearest}` }) }
      })
    }
    throw new AppError('INVALID_REQUEST', `${message}; see --help`, { cause: error })
  }
}
