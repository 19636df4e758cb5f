from corntriton import flow


@flow
def chain(request, c):
    words = c.make(size=request["size"], seed=request["seed"]).words
    return {"checksum": c.last(rewritten=c.rewrite(words=words).rewritten).checksum}


@flow
def diamond(request, c):
    words = c.make(size=request["size"], seed=request["seed"]).words
    left, right = c.left(words=words).left, c.right(words=words).right
    return {"checksum": c.join(left=left, right=right).checksum}
