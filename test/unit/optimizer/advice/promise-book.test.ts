import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { PromiseBook } from '../../../../optimizer/advice/promise-book.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { knowing, logNormal } from '../../../helpers/forecasts.ts'
import { ended, node, task } from '../estimator/support.ts'

test('what was said before an end is held to it, and what is said afterwards to the next', () => {
  let medianMs = 1000
  const book = new PromiseBook(knowing(() => logNormal(medianMs, 0.5)))
  book.observe(ended(task(1), 1000), undefined)
  expect([book.all, book.of('ann')]).toEqual([undefined, undefined])
  // By now a hundred times as much is predicted; this end was not.
  medianMs = 100_000
  book.observe(ended(task(2), 50_000), undefined)
  expect(book.of('ann')).toMatchObject({ count: 1, held95: 0, held99: 0 })
  book.observe(ended(task(3), 50_000), undefined)
  expect(book.of('ann')).toMatchObject({ count: 2, held95: 0.5, held99: 0.5 })
  book.observe(ended(task(4), 0, { end: 'not-started' }), undefined)
  expect(book.all?.count).toBe(2)
})

test('shares come to what was promised where predictions are true, on slow nodes too, and absurd widths show', () => {
  const rng = createRng(3)
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - rng.nextFloat())) * Math.cos(2 * Math.PI * rng.nextFloat())
  const slow = 5
  const estimator = {
    ...knowing(() => logNormal(1000, 0.5)),
    predict: (of: Parameters<ReturnType<typeof knowing>['predict']>[0], on?: unknown) =>
      of.tenant === 'wide' ? logNormal(1000, 3) : logNormal(on === undefined ? 1000 : slow * 1000, 0.5)
  }
  const book = new PromiseBook(estimator)
  for (let id = 1; id <= 6000; id++) {
    const runMs = 1000 * Math.exp(0.5 * normal())
    if (id % 2 === 0) book.observe(ended(task(id), slow * runMs), node(1))
    else book.observe(ended(task(id, { tenant: 'wide', name: 'wide' }), runMs), undefined)
  }
  const { held95 = 0, held99 = 0, spread99 = 0 } = book.of('ann') ?? {}
  expect(held95).toBeCloseTo(0.95, 1)
  expect(Math.abs(held99 - 0.99)).toBeLessThan(0.01)
  expect(spread99).toBeCloseTo(logNormal(1, 0.5).quantileMs(0.99), 1)
  expect(book.of('wide')?.spread99).toBeGreaterThan(500)
  expect(book.of('wide')?.held99).toBe(1)
})

test('after thousands of classes that come no more, those that come now are judged', () => {
  const book = new PromiseBook({
    ...knowing(() => logNormal(1000, 0.5)),
    classOf: ({ name }: { readonly name: string }) => name
  })
  let id = 0
  // Some names have dates in them. Few ends are looked at by now: as many more, then.
  for (let name = 0; name < 5000 * 17; name++)
    book.observe(ended(task(++id, { name: `run ${name}` }), 1000), undefined)
  const before = book.all?.count ?? 0
  for (let run = 0; run < 17 * 10; run++) book.observe(ended(task(++id, { name: 'today' }), 1000), undefined)
  expect(book.all?.count).toBe(before + 9)
})

test('looking at ends promises nothing: the estimator is held to no answer that only the book asked for', () => {
  const [plain, watched] = [false, true].map((watches) => {
    const estimator = createLearnedEstimator({ rows: false })
    const book = new PromiseBook(estimator)
    for (let id = 1; id <= 200; id++) {
      estimator.placed(task(id), node(1), id)
      const feedback = ended(task(id, { attempts: 1 }), 1000 + (id % 7) * 100)
      estimator.observe(feedback)
      if (watches) book.observe(feedback, node(1))
    }
    return [0.5, 0.9, 0.99].map((q) => estimator.predict(task(900)).quantileMs(q))
  })
  // When a class is worked out anew depends on when it is asked for, a little.
  plain?.forEach((ms, at) => {
    expect(Math.abs(Math.log((watched?.[at] ?? 0) / ms))).toBeLessThan(1e-6)
  })
})
