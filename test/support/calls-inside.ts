/**
 * The same object, whose methods are called after `enter` and followed by what that returns, before
 * anything that they wait for: the synchronous part of each call happens inside.
 */
export function callsInside<T extends object>(object: T, enter: () => () => void): T {
  return new Proxy<T>(object, {
    get(target, name) {
      const method = Reflect.get(target, name, target) as (...args: unknown[]) => unknown;
      return (...args: unknown[]): unknown => {
        const leave = enter();
        try {
          return method.apply(target, args);
        } finally {
          leave();
        }
      };
    },
  });
}
