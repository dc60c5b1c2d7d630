/**
 * What a trainer and its guard do in a scenario, at random: publish models of some size, promote, reject and roll back. Each
 * answer is checked against what the log says.
 */
import { AppError } from '../base/errors.ts'
import type { Rng } from '../base/prng.ts'
import type { ModelVerdict } from '../scheduler/commands.ts'
import type { OutcomeValue } from '../scheduler/types.ts'
import type { Draft } from '../runtime/proposals/forwarder.ts'
import type { SimCluster } from './cluster.ts'

const EVERY_MS = 4_000
const PROPOSE_MS = 10_000
const ANSWER_MS = PROPOSE_MS + 2_000
/** Large enough for models to be compacted, sent as snapshots and flushed one by one. */
const MAX_WEIGHTS_BYTES = 40_000
const VERDICTS: readonly ModelVerdict[] = ['promote', 'promote', 'reject', 'roll-back']
const utf8 = new TextEncoder()

export class ModelLoad {
  readonly #cluster: SimCluster
  readonly #rng: Rng
  readonly #published = new Set<number>()
  #stopped = false

  constructor(cluster: SimCluster, rng: Rng) {
    this.#cluster = cluster
    this.#rng = rng
    this.#next()
  }

  stop(): void {
    this.#stopped = true
  }

  #next(): void {
    this.#cluster.time.schedule(this.#rng.nextInt(EVERY_MS), () => {
      if (this.#stopped) return
      void this.#publish()
      this.#next()
    })
  }

  async #publish(): Promise<void> {
    const weights = new Uint8Array(1 + this.#rng.nextInt(MAX_WEIGHTS_BYTES)).fill(this.#rng.nextInt(256))
    const evaluation = utf8.encode('{"maeLn":1}')
    const answer = await this.#ask({ type: 'publish-model', weights, trainedOn: weights.length, evaluation })
    if (answer instanceof AppError || answer?.type !== 'model') return
    const { version } = answer
    this.#check(!this.#published.has(version), `model ${version} was published twice`)
    this.#published.add(version)
    const verdict = VERDICTS[this.#rng.nextInt(VERDICTS.length)] ?? 'reject'
    await this.#ask({ type: 'judge-model', version, verdict, toPrevious: true, reason: 'drawn' })
  }

  async #ask(draft: Draft): Promise<OutcomeValue | AppError | undefined> {
    const open = this.#cluster.nodes.filter((node) => node.runtime?.open === true)
    const runtime = open[this.#rng.nextInt(Math.max(1, open.length))]?.runtime
    if (runtime === undefined) return undefined
    const answer = await this.#cluster.ask(runtime.propose(draft, PROPOSE_MS), ANSWER_MS)
    const models = [...runtime.state.models.values()]
    for (const state of ['serving', 'shadow']) {
      const count = models.filter((model) => model.state === state).length
      this.#check(count <= 1, `${count} models are ${state}`)
    }
    return answer
  }

  #check(holds: boolean, what: string): void {
    if (!holds) this.#cluster.checkers.models.push(what)
  }
}
