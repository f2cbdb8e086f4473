// Node 22.18 and later strip types natively; Node 20 needs tsx.
if (!process.features.typescript) await import('tsx')
