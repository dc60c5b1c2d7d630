import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { plainStatistics } from '../../../../optimizer/lab/plain-statistics.ts'
import { LiveTask } from '../../../../optimizer/sim/view.ts'
import { taskOf } from '../../../helpers/workloads.ts'

test('names that are as many as tasks do not stay for ever, and one that is heard of again does', () => {
  const plain = plainStatistics()
  const task = (name: string): LiveTask => new LiveTask(taskOf({ work: 1, name }, 0), [])
  const ran = (name: string, runMs: number): void => {
    const feedback = {
      task: task(name),
      node: nodeId(1),
      end: 'succeeded',
      runMs,
      peakMemoryBytes: 0
    } as const
    plain.observe(feedback)
  }
  ran('once', 10)
  ran('often', 10)
  for (let index = 0; index < 20_000; index++) {
    ran(`build-${index}`, 1_000_000)
    if (index % 1000 === 0) ran('often', 10)
  }
  // The tenant's mean is left of the one, its own of the other.
  expect(plain.predict(task('once')).meanMs).toBeGreaterThan(500_000)
  expect(plain.predict(task('often')).meanMs).toBeLessThan(100)
})
