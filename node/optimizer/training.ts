/** Training. */
import type { TrainingRow } from './predictor.ts'
import type { FromThread, ToThread } from './protocol.ts'
import { useFastestBackend } from './backend.ts'
import { createCpuBudget, threadCpuMs } from './cpu-budget.ts'

export interface Training {
  add(rows: readonly TrainingRow[]): void
  wantModel(): void
}
export async function startTraining(
  options: Extract<ToThread, { type: 'train' }>,
  send: (message: FromThread) => void
): Promise<Training> {
  const backend = await useFastestBackend()
  createCpuBudget(options.cpuShare, () => performance.now(), threadCpuMs())
  return {
    add: (rows) => {
      send({ type: 'progress', backend, steps: 0, rows: rows.length, cpuShare: 0 })
    },
    wantModel: () => undefined
  }
}
