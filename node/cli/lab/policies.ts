/**
 * What the lab's commands can be asked for: the catalog, and the learned policy on a network that trains as the run goes on.
 * TensorFlow.js is loaded only when that one is asked for.
 */
import { nearestName } from '../../../api/validation.ts'
import { AppError } from '../../../base/errors.ts'
import { InvariantError } from '../../../base/invariant.ts'
import type { Estimator } from '../../../optimizer/estimate.ts'
import type { SelfTrainingEstimator } from '../../../optimizer/estimator/self-training.ts'
import { BASELINES } from '../../../optimizer/lab/catalog.ts'
import type { PolicyEntry } from '../../../optimizer/lab/catalog.ts'
import { learnedPolicy } from '../../../optimizer/policies/learned/index.ts'
import type { Rng } from '../../../base/prng.ts'

const NETWORK = 'learned-network'

type CreateEstimator = (options: { readonly rng: Rng }) => SelfTrainingEstimator

/**
 * The policies by these names, and all others; undefined names mean a trace's defaults, which train no network. Throws `INVALID_REQUEST` for
 * a name that does not exist.
 */
export async function labPolicies(names: readonly string[] | undefined): Promise<readonly PolicyEntry[]> {
  for (const name of names ?? []) checkKnown(name, [...BASELINES.map((entry) => entry.name), NETWORK])
  return [...BASELINES, networkEntry(names?.includes(NETWORK) === true ? await loadNetwork() : undefined)]
}

function checkKnown(name: string, known: readonly string[]): void {
  if (known.includes(name)) return
  const nearest = nearestName(name, known)
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
  throw new AppError('INVALID_REQUEST', `policy: got "${name}", expected one of ${known.join(', ')}${hint}`, {
    details: { field: 'policies', got: name, ...(nearest !== undefined && { nearest }) }
  })
}

function networkEntry(create: CreateEstimator | undefined): PolicyEntry {
  const estimator = (rng: Rng): Estimator => {
    if (create === undefined) throw new InvariantError(`${NETWORK} runs without its network`)
    return create({ rng: rng.fork() })
  }
  return {
    name: NETWORK,
    about: 'the learned policy with a network that trains during the run, as a leader trains one',
    families: [],
    clairvoyant: 'learned-oracle',
    continues: true,
    make: (_, rng) => learnedPolicy(estimator(rng), { name: NETWORK })(rng)
  }
}

async function loadNetwork(): Promise<CreateEstimator> {
  const { useFastestBackend } = await import('../../optimizer/backend.ts')
  await useFastestBackend()
  return (await import('../../../optimizer/estimator/self-training.ts')).createSelfTrainingEstimator
}
