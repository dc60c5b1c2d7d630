import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { FINE_BINS, OCTAVES } from '../../../../optimizer/estimator/bins.ts'
import { ForwardPass } from '../../../../optimizer/estimator/forward.ts'
import {
  boundOctaves,
  boundOctavesByLogits,
  writeHazardLogits
} from '../../../../optimizer/estimator/hazards.ts'
import { createLearnedEstimator, type LearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { HAZARDS_AT, initialWeights, LAYERS, WEIGHT_COUNT } from '../../../../optimizer/estimator/model.ts'
import { EXPERT_COUNT, HAZARD_OFFSETS_AT, INPUT_COUNT } from '../../../../optimizer/estimator/rows.ts'
import { ended, node, task } from './support.ts'

test('a network that has learned nothing expects about what the statistics do, from the first octave to the last', () => {
  const forward = new ForwardPass(initialWeights(createRng(1)))
  for (let octave = 0; octave < OCTAVES; octave++) {
    const masses = new Float64Array(FINE_BINS)
    masses.fill(OCTAVES / FINE_BINS, (octave * FINE_BINS) / OCTAVES, ((octave + 1) * FINE_BINS) / OCTAVES)
    const input = new Float32Array(INPUT_COUNT)
    writeHazardLogits(masses, input.subarray(HAZARD_OFFSETS_AT))
    const { octaves } = forward.run(input)
    expect(octaves[octave]).toBeGreaterThan(0.8)
    expect(octaves.slice(0, Math.max(0, octave - 3)).reduce((sum, mass) => sum + mass, 0)).toBeLessThan(0.05)
    expect(octaves.slice(octave + 4).reduce((sum, mass) => sum + mass, 0)).toBeLessThan(0.01)
  }
})

test('what is believed of octaves is the same by masses as by the logits that were made of them, and never much more than expected', () => {
  const rng = createRng(3)
  for (let trial = 0; trial < 50; trial++) {
    const masses = Float64Array.from(
      { length: FINE_BINS },
      (_, bin) => rng.nextFloat() ** 8 * Math.exp(-bin / 20)
    )
    const total = masses.reduce((sum, mass) => sum + mass, 0)
    masses.forEach((mass, bin) => (masses[bin] = mass / total))
    const logits = new Float32Array(OCTAVES)
    writeHazardLogits(masses, logits)
    const octaves = Float32Array.from({ length: OCTAVES }, (_, octave) =>
      octave === 29 ? 0.9 : 0.1 / (OCTAVES - 1)
    )
    const [byMasses, byLogits] = [new Float64Array(OCTAVES), new Float64Array(OCTAVES)]
    boundOctaves(octaves, masses, byMasses)
    boundOctavesByLogits(octaves, logits, byLogits)
    byMasses.forEach((mass, octave) => {
      expect(Math.abs(byLogits[octave]! - mass)).toBeLessThan(1e-4)
    })
    expect(byMasses[29]).toBeLessThan(0.3)
  }
})

/** An estimator that has seen 200 runs of some 50 ms. */
function taught(): LearnedEstimator {
  const estimator = createLearnedEstimator()
  for (let id = 1; id <= 200; id++) {
    estimator.advance(100 * id)
    estimator.placed(task(id), node(1), 100 * id)
    estimator.observe(ended(task(id), 40 + (id % 20)))
  }
  return estimator
}

/** Mean and p99 of a class that has run and of one that has not, in milliseconds. */
function figures(estimator: LearnedEstimator): number[] {
  const known = estimator.predict(task(900))
  const unknown = estimator.predict(task(901, { name: 'never seen' }))
  return [known, unknown].flatMap((each) => [each.meanMs, each.quantileMs(0.99)])
}

test('a young network promises no hours to what takes milliseconds', () => {
  const estimator = taught()
  const before = figures(estimator)
  estimator.useModel({ weights: initialWeights(createRng(2)) })
  figures(estimator).forEach((figure, index) => {
    expect(Math.abs(Math.log(figure / before[index]!))).toBeLessThan(Math.LN2)
  })
})

test('nor does one that was made to, too little for its losses to show it', () => {
  const estimator = taught()
  const before = figures(estimator)
  // Its own distribution has a gate of some 5 %, and says that nothing ends before the last octave, of weeks.
  const weights = new Float32Array(WEIGHT_COUNT)
  const biases = WEIGHT_COUNT - LAYERS[2][1]
  weights[biases + EXPERT_COUNT] = Math.log(0.05)
  weights.fill(-100, biases + HAZARDS_AT, biases + HAZARDS_AT + OCTAVES - 1)
  estimator.useModel({ weights })
  figures(estimator).forEach((figure, index) => {
    expect(figure).toBeLessThan(30 * before[index]!)
  })
})
