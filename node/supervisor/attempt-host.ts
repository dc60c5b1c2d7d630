import type { AttemptHost } from '../../runtime/ports/attempt-host.ts'
import type { AttemptHostOptions } from './options.ts'

export declare function createAttemptHost(options: AttemptHostOptions): AttemptHost
