/** Everything outside of a node's own rules: the runtime reaches the world through these and nothing else. */
import type { AttemptHost } from './attempt-host.ts'
import type { Clock } from './clock.ts'
import type { Disk } from './disk.ts'
import type { Entropy } from './entropy.ts'
import type { Logger } from './log.ts'
import type { StoreProvider } from './store.ts'
import type { Timers } from './timers.ts'
import type { Transport } from './transport.ts'

export interface RuntimePorts {
  readonly clock: Clock
  readonly timers: Timers
  readonly entropy: Entropy
  readonly disk: Disk
  readonly stores: StoreProvider
  readonly transport: Transport
  readonly host: AttemptHost
  readonly logger: Logger
}
