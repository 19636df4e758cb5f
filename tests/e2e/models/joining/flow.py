from corntriton import flow


@flow
def joining(request, c):
    first = c.first(order=request["order"], pcm=request["pcm"])
    second = c.second(order=first.order, pcm=first.pcm)
    return {"pcm": second.pcm, "order": second.order}
