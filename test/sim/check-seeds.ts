import { expect, test } from 'vitest'
import { runScenario, type ScenarioOptions } from '../../sim/scenario.ts'

/** One test per seed; a failure names the seed, what was found and how to see it again. */
export function checkSeeds(
  first: number,
  count: number,
  options: Pick<ScenarioOptions, 'nodes' | 'faultMs' | 'tasks'>
): void {
  const seeds = Array.from({ length: count }, (_, i) => first + i)
  test.each(seeds)('seed %i keeps every promise and comes to rest', async (seed) => {
    const { violations, acknowledged } = await runScenario({ seed, ...options })
    expect(violations, replay(seed, options)).toEqual([])
    expect(acknowledged, replay(seed, options)).toBeGreaterThan(0)
  })
}

function replay(
  seed: number,
  { nodes = 3, faultMs = 20_000, tasks = 60 }: Omit<ScenarioOptions, 'seed'>
): string {
  return `replay: npm run sim -- --seed ${seed} --nodes ${nodes} --fault-ms ${faultMs} --tasks ${tasks} --log`
}
