/** An attempt host that records what it is told and ends attempts when told. */
import type { AttemptHost, AttemptStart } from '../../../../runtime/ports/attempt-host.ts'

export class StubHost implements AttemptHost {
  readonly offer: AttemptHost['offer'] = { executors: ['js'], handlers: {} }
  readonly begun: number[] = []
  readonly stopped: string[] = []
  /** Resolvers of the incarnations that are being ended. */
  readonly ending = new Map<number, () => void>()

  start(): Promise<void> {
    return Promise.resolve()
  }

  begin({ token }: AttemptStart): void {
    this.begun.push(token)
  }

  stop(token: AttemptStart['token'], reason: string): void {
    this.stopped.push(`${token} ${reason}`)
  }

  extendLease(): void {
    // Deadlines are the supervisor's business.
  }

  endIncarnation(incarnation: number): Promise<void> {
    return new Promise((resolve) => this.ending.set(incarnation, resolve))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
